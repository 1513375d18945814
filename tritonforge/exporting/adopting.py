"""A file that someone else exported: taken as it is, or brought to what the target takes."""

import shutil
from dataclasses import replace
from pathlib import Path

from tritonforge import converting, deciding, graph, opsets
from tritonforge.errors import GraphError
from tritonforge.exported import Exported, read_back
from tritonforge.progress import Progress
from tritonforge.release import LOWEST_OPSET
from tritonforge.spec import ModelSpec

_HINT = "export the file again, or mend what is named"


def adopt(source: Path, spec: ModelSpec, path: Path, progress: Progress) -> Exported:
    """Take a foreign file: unchanged where the target loads it so, else converted or re-stamped."""
    progress(f"reading {source}")
    parts = graph.external_files(source)
    decision = deciding.decided(source, spec)
    spec = deciding.under(spec, decision)
    model = graph.load(source)
    graph.take_in(source, model)
    stamp = graph.stamp_of(model)
    options: tuple[opsets.Option, ...] = ()
    if spec.opset is not None:
        wanted = [spec.target.check_opset(spec.opset)]
    else:
        options = opsets.ranked(source, spec, {stamp.opset}, written=stamp.opset)
        wanted = [option.opset for option in options]
        if options:  # where no way leads to those, there is one that is lost to the provider
            every = range(spec.target.opset, LOWEST_OPSET - 1, -1)
            wanted += [each for each in every if each not in wanted]
        else:
            wanted = [min(stamp.opset, spec.target.opset)]
    ordered = graph.sort(model.graph)
    model, opset = converting.first_of(model, wanted, spec)
    way = "as given" if opset == stamp.opset else f"converted from opset {stamp.opset}"
    if ordered:
        way += ", nodes put in order"
    if model.ir_version > spec.target.ir:
        model.ir_version = spec.target.ir
        way += f", IR {stamp.ir} stamped {spec.target.ir}"
    if way == "as given" and not parts and not spec.external_data:
        shutil.copyfile(source, path)
    else:
        graph.write(model, path, beside=spec.external_data, base=source.parent)
    del model
    try:
        made = read_back(path, way, opset, spec, {}, None)
    except GraphError as error:  # said of the copy, but the user knows the file by its own name
        hint = error.hint if "--exporter" not in str(error.hint) else _HINT
        raise GraphError(error.message.replace(path.name, source.name), hint=hint) from error
    chosen = opsets.reason(opset, options, spec) if options else None
    return replace(made, chosen=chosen, decision=decision)
