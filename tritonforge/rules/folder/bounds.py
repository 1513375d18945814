"""Rules of what can be read of a model at all, in bounded time and memory."""

from collections.abc import Iterator

from tritonforge.repository import CONFIG
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model


@rule("BND101", "refused")
def a_config_can_be_read(model: Model) -> Iterator[Found]:
    """What is called config.pbtxt is a regular file that can be read.

    The server loads no model whose config it may not read; of a pipe or a device it waits for an
    end that may never come, and with it all other models.

    Source: triton-inference-server/core, `filesystem/implementations/local.h` (ReadTextFile).
    Remedy: put a file there, and let whoever runs the server read it.
    """
    if model.unread is not None and not model.unread.loads:
        yield Found(said=model.unread.said, file=CONFIG)


@rule("BND102", "refused")
def folders_can_be_read(model: Model) -> Iterator[Found]:
    """The folder of a model can be read, and so can those of its versions.

    The server lists a model's folder, and of those in it the first by its letters, where it looks
    for what tells the backend; it loads no model where it may not. Of another version it needs the
    file alone.

    Source: triton-inference-server/core, `model_repository_manager.cc` (Poll) and
    `model_config_utils.cc` (AutoCompleteBackendFields); each case tried on Triton 2.51.
    Remedy: let whoever runs the server list the folder and go into it: `chmod a+rx`.
    """
    first = min(model.inside, default="")
    unreached = {file.path.partition("/")[0] for file in model.files.values() if file.fault}
    for name, why in model.closed.items():
        if name in {"", first} or name.rstrip("/") in unreached:
            yield Found(said=f"the folder cannot be read: {why}", file=name.rstrip("/"))


@rule("BND201", "wrong")
def a_config_is_short(model: Model) -> Iterator[Found]:
    """A config has at most 1 MiB.

    The server reads a longer one, in a time that no model needs; here nothing of it is judged.

    Source: `tritonforge/check/reading.py`.
    Remedy: take out what is said again and again; the config of a large ensemble has 100 KiB.
    """
    if model.unread is not None and model.unread.loads:
        yield Found(said=f"{model.unread.said}, and nothing of it is judged", file=CONFIG)


@rule("BND202", "wrong")
def a_folder_holds_few_names(model: Model) -> Iterator[Found]:
    """A folder of a model holds no more than ten thousand names, and all of them ten times that.

    The server asks each for what it is whenever it looks for changes; here those behind are not
    seen, so that what is told of versions and files may be wrong.

    Source: triton-inference-server/core, `model_repository_manager.cc` (Poll);
    `tritonforge/check/listing.py`.
    Remedy: move what belongs to no version out of the model's folder.
    """
    for name in model.cut:
        held = model.inside.get(name, model.entries)
        said = f"of the names that it holds {len(held):,} are judged, and there are more"
        yield Found(said=said, file=name.rstrip("/"))


@rule("BND203", "wrong")
def a_file_can_be_judged(model: Model) -> Iterator[Found]:
    """A model's file can be judged to its end.

    ONNX's library, which infers the types of its values, does not come through each file: it
    crashes, goes on for minutes, or takes all memory. ONNX Runtime holds much of the same code. Of
    such a file nothing is judged, and neither is it where the machine itself has too little.

    Source: onnx, `shape_inference/implementation.cc`; `tritonforge/sheltered.py`.
    Remedy: check again where there is more memory and less else to do; if it stays, look for a node
    with attributes or shapes that make no sense, or export the model again.
    """
    for file in model.files.values():
        if file.lost is not None:
            said = f"nothing of it is judged: the process that read it {file.lost}"
            yield Found(said=said, file=file.path)
