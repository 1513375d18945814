"""What has not changed is not built again; what has changed in any way is."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny
import torch
from click.testing import CliRunner
from onnx import numpy_helper
from safetensors.torch import save_file

from tritonforge import release, sources, toolchain, unchanged
from tritonforge.build import build
from tritonforge.cli import main
from tritonforge.errors import ConfigError
from tritonforge.repository import Repository
from tritonforge.sources import installed
from tritonforge.spec import ModelSpec, Range

LIBRARIES = str(Path(torch.__file__).parents[1])
NETS = """
from pathlib import Path
import torch
from torch import nn
from neighbour import WIDTH
def net():
    padding = int(Path("{folder}/width.txt").read_text()) + WIDTH
    return nn.Conv1d(4, 4, 3, padding=padding), (torch.randn(2, 4, 8),)
"""


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repo")


@pytest.fixture
def spec(tmp_path):
    """Wish for a model that doubles."""
    path = tiny.save(tmp_path / "double.onnx", *tiny.DOUBLE)
    return ModelSpec(source=str(path), target=release.find("24.10"), max_batch_size=2)


def test_the_same_is_not_built_again(repository, spec):
    first = build(spec, repository)
    again = build(spec, repository)
    assert (first.unchanged, again.unchanged) == (False, True)
    assert again.version == 1
    assert again.manifest == first.manifest
    assert repository.versions("double") == (1,)


def test_it_is_built_again_where_that_is_asked(repository, spec):
    build(spec, repository)
    assert build(spec, repository, rebuild=True).version == 2
    assert build(spec, repository, version=7).version == 7


@pytest.mark.parametrize(
    "change",
    [
        {"max_batch_size": 4},
        {"target": release.find("24.04")},
        {"accelerator": "cuda"},
        {"ranges": (("n2", Range(high=3)),)},
        {"config": {"response_cache": True}},
        {"sample_seed": 1},
    ],
)
def test_another_wish_is_built(spec, change):
    other = replace(spec, **change)
    assert unchanged.inputs_of(other, 2, kept=False) != unchanged.inputs_of(spec, 2, kept=False)


def test_another_source_is_built_and_one_that_was_only_touched_is_not(repository, spec):
    build(spec, repository)
    path = Path(spec.source)
    os.utime(path, (1, 1))
    assert build(spec, repository).unchanged
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "spare"))
    onnx.save(model, path)
    assert not build(spec, repository).unchanged


def test_external_weights_are_a_part_of_the_source(repository, tmp_path):
    values = numpy_helper.from_array(np.ones((4, 400), np.float32), "w")
    nodes = [("MatMul", ["x", "w"], ["y"], {})]
    made = [("y", 1, ["n", 400])]
    path = tiny.save(tmp_path / "big.onnx", nodes, [("x", 1, ["n", 4])], made, [values])
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="big.data", size_threshold=0)
    spec = ModelSpec(source=str(path), target=release.find("24.10"))
    build(spec, repository)
    assert build(spec, repository).unchanged
    data = tmp_path / "big.data"
    data.write_bytes(data.read_bytes()[:-4] + np.float32(2).tobytes())
    assert not build(spec, repository).unchanged


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "manifest.json"])
def test_a_version_that_was_altered_is_built_again(repository, spec, name):
    entry = build(spec, repository).entry
    (entry.version_dir / name).write_bytes(b"something else")
    assert not build(spec, repository).unchanged


# --- a config that was edited ---------------------------------------------------------------------


@pytest.fixture
def edited(repository, spec):
    """Build a model and edit its config; return the path of that."""
    path = build(spec, repository).entry.config_path
    path.write_text(path.read_text() + "response_cache { enable: true }\n")
    return path


@pytest.mark.parametrize("how", ["stop", "follow"])
def test_an_edited_config_is_told_at_once(repository, spec, edited, how):
    told, stands = [], edited.read_text()
    with pytest.raises(ConfigError, match=r"(?s)another config.*\n-response_cache") as caught:
        build(spec, repository, standing=how, progress=lambda *what: told.append(what[0]))
    assert "--update-config" in caught.value.hint
    assert told == ["looking whether anything changed"]
    assert edited.read_text() == stands


def test_an_edited_config_is_written_again_where_that_is_asked(repository, spec, edited):
    edited.chmod(0o640)
    tried = build(spec, repository, standing="update", dry_run=True)
    assert "would be written" in tried.notes[0]
    assert "response_cache" in edited.read_text()
    again = build(spec, repository, standing="update")
    assert (again.unchanged, again.version) == (True, 1)
    assert "is written again" in again.notes[0]
    assert edited.read_text() == again.manifest.config
    assert edited.stat().st_mode & 0o777 == 0o640
    assert build(spec, repository, standing="update").notes == ()


def test_an_edited_config_is_kept_where_that_is_asked_and_fits(repository, spec, edited):
    stands = edited.read_text()
    assert build(spec, repository, standing="keep").unchanged
    assert edited.read_text() == stands
    edited.write_text(stands.replace('name: "y"', 'name: "z"'))
    with pytest.raises(ConfigError, match="the model has no output 'z'"):
        build(spec, repository, standing="keep")


def test_a_comment_in_a_config_is_no_change(repository, spec):
    path = build(spec, repository).entry.config_path
    path.write_text(path.read_text() + "# mine\n")
    assert build(spec, repository).unchanged
    assert path.read_text().endswith("# mine\n")
    path.unlink()
    assert not build(spec, repository).unchanged


def test_a_repository_is_not_written_to_where_nothing_changes(repository, spec):
    first = build(spec, repository)
    config = first.entry.config_path
    config.write_text(f"# Mine.\n{config.read_text()}")
    lock = next(each for each in repository.path.iterdir() if each.name.endswith(".lock"))
    lock.unlink()
    lock.mkdir()  # so that nobody can hold it, root neither
    assert build(spec, repository).unchanged


# --- what stands beside a config ------------------------------------------------------------------


def labelled(spec, tmp_path, *names):
    """Wish for labels."""
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(names) + "\n")
    return replace(spec, labels=(("y", path),))


def test_labels_that_stand_are_kept_with_the_config_and_it_is_said_once(repository, spec, tmp_path):
    entry = build(labelled(spec, tmp_path, *"abcd"), repository).entry
    other = labelled(spec, tmp_path, *"efgh")
    built = build(other, repository, standing="keep")
    assert "kept beside the config as they stand: labels.txt" in built.notes
    assert (entry.model_dir / "labels.txt").read_text() == "a\nb\nc\nd\n"
    again = build(other, repository, standing="keep")
    assert (again.unchanged, again.version) == (True, 2)
    (entry.model_dir / "labels.txt").unlink()
    build(other, repository, standing="keep")
    assert (entry.model_dir / "labels.txt").read_text() == "e\nf\ng\nh\n"


def test_a_kept_config_gets_no_files_that_it_does_not_name(repository, spec, tmp_path):
    entry = build(spec, repository).entry
    build(labelled(spec, tmp_path, *"abcd"), repository, standing="keep")
    assert not (entry.model_dir / "labels.txt").exists()


def test_files_that_no_config_names_any_more_are_removed(repository, spec, tmp_path):
    entry = build(replace(labelled(spec, tmp_path, *"abcd"), warmup="random"), repository).entry
    assert (entry.model_dir / "warmup" / "0-0-x").is_file()
    (entry.model_dir / "warmup" / "mine").write_bytes(b"data")
    build(replace(spec, warmup="random"), repository, standing="update")
    assert (entry.model_dir / "warmup" / "0-0-x").is_file()
    assert not (entry.model_dir / "labels.txt").exists()
    build(spec, repository, standing="update")
    assert [path.name for path in (entry.model_dir / "warmup").iterdir()] == ["mine"]


def test_a_file_that_a_person_has_changed_is_theirs(repository, spec, tmp_path):
    entry = build(labelled(spec, tmp_path, *"abcd"), repository).entry
    (entry.model_dir / "labels.txt").write_text("my\nown\nfour\nclasses\n")
    build(spec, repository, standing="update")
    assert (entry.model_dir / "labels.txt").read_text().startswith("my\n")


# --- where it was made, and with what -------------------------------------------------------------


def test_the_same_name_in_another_folder_is_another_source(repository, spec, tmp_path, monkeypatch):
    for number, folder in enumerate(("one", "two")):
        (tmp_path / folder / "pkg").mkdir(parents=True)
        shutil.copy(spec.source, tmp_path / folder / "m.onnx")
        (tmp_path / folder / "pkg" / "deep.py").write_text(f"N = {number}\n")
    wish, hashes = replace(spec, source="m.onnx"), []
    for folder in ("one", "two"):
        monkeypatch.chdir(tmp_path / folder)
        assert not build(wish, repository).unchanged
        assert build(replace(wish, source="./m.onnx"), repository).unchanged
        wishes = [replace(spec, source=each) for each in ("pkg/deep.py:f", "pkg.deep:f")]
        hashes += [unchanged.inputs_of(each, 2, kept=False) for each in wishes]
    assert len(set(hashes)) == 2


def test_a_build_that_was_not_tried_is_made_again_once_it_can_be(
    repository, spec, tmp_path, monkeypatch
):
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", str(tmp_path / "none"))
    assert build(spec, repository).manifest.loaded_by is None
    assert build(spec, repository).unchanged
    monkeypatch.delenv("TRITONFORGE_TOOLCHAIN")
    toolchain.own(spec.target)
    built = build(spec, repository)
    assert (built.unchanged, built.manifest.loaded_by) == (False, spec.target.onnxruntime)
    assert build(spec, repository).unchanged


def test_another_version_of_any_library_that_took_part_is_a_change(
    repository, tmp_path, monkeypatch
):
    site = tmp_path / "lib" / "site-packages"
    facts = site / "taking_part-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "taking_part.py").write_text("WIDTH = 4\n")
    (site / "nobodys.py").write_text("WIDTH = 4\n")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: taking-part\nVersion: 1.0\n")
    (facts / "RECORD").write_text("taking_part.py,,\n")
    monkeypatch.syspath_prepend(site)
    code = PLAIN.format(more="import taking_part, nobodys", width="taking_part.WIDTH")
    spec = factory(tmp_path, code)
    read = build(spec, repository).manifest.read
    assert {Path(path).name for path in read} >= {"nets.py", "nobodys.py"}
    assert "taking_part.py" not in {Path(path).name for path in read}
    assert build(spec, repository).unchanged
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: taking-part\nVersion: 2.0\n")
    facts.rename(site / "taking_part-2.0.dist-info")
    assert not build(spec, repository).unchanged


def test_another_state_of_tritonforge_itself_is_a_change(tmp_path):
    here = Path(unchanged.__file__).parents[1]
    for each in ("tritonforge", "templates"):
        shutil.copytree(here / each, tmp_path / each, ignore=shutil.ignore_patterns("*.pyc"))
    code = (
        "from tritonforge import release, unchanged; from tritonforge.spec import ModelSpec;"
        "spec = ModelSpec(source='resnet18', target=release.find('24.10'));"
        "print(unchanged.inputs_of(spec, 2, kept=False))"
    )
    found = []
    for changed in (None, "tritonforge/graph/halves.py", "templates/config.pbtxt.j2"):
        if changed is not None:
            with (tmp_path / changed).open("a") as file:
                file.write("\n")
        ended = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        found.append(ended.stdout)
    assert len(set(found)) == 3


# --- a user's code --------------------------------------------------------------------------------


PLAIN = """
import torch
from pathlib import Path
from torch import nn
{more}
HERE = Path(__file__).parent
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear({width}, 3)
    def forward(self, x):
        return self.one(x)
def net():
    return Net().eval(), (torch.randn(2, 4),)
def other():
    return Net().eval(), (torch.randn(2, 4),)
"""


def factory(tmp_path, code, name="net"):
    """Write a file of factories and wish for one of them."""
    (tmp_path / "nets.py").write_text(code)
    return ModelSpec(source=f"{tmp_path}/nets.py:{name}", target=release.find("24.10"))


def test_a_copy_of_a_repository_is_known_by_its_content(repository, spec, tmp_path):
    build(spec, repository)
    shutil.copytree(repository.path, tmp_path / "other", copy_function=shutil.copyfile)
    assert build(spec, Repository(tmp_path / "other")).unchanged


def test_what_a_factory_reads_is_a_part_of_it(repository, tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "nets.py").write_text(NETS.format(folder=folder))
    (folder / "neighbour.py").write_text("WIDTH = 1\n")
    (folder / "width.txt").write_text("3")
    spec = ModelSpec(source=f"{folder}/nets.py:net", target=release.find("24.10"))
    read = build(spec, repository).manifest.read
    assert {Path(path).name for path in read} >= {"nets.py", "neighbour.py", "width.txt"}
    assert not [path for path in read if path.startswith(LIBRARIES) or path.endswith(".pyc")]
    assert build(spec, repository).unchanged
    (folder / "width.txt").write_text("4")
    with pytest.raises(ConfigError):  # it gives another shape now
        build(spec, repository)


def test_what_a_neighbour_read_for_one_model_is_a_part_of_the_next(repository, tmp_path):
    (tmp_path / "width.txt").write_text("4")
    (tmp_path / "other.py").write_text(PLAIN.format(more="", width="4"))
    (tmp_path / "reading_neighbour.py").write_text(
        "from pathlib import Path\nfrom functools import cache\n"
        "WIDTH = int((Path(__file__).parent / 'width.txt').read_text())\n"
        "from safetensors.torch import load_file\n"
        "HELD = load_file(Path(__file__).parent / 'held.safetensors')\n"
        "@cache\ndef late(name):\n    return (Path(__file__).parent / name).read_text()\n"
    )
    (tmp_path / "late.txt").write_text("")
    save_file({"a": torch.ones(1)}, tmp_path / "held.safetensors")
    more = "import reading_neighbour; reading_neighbour.late('late.txt')"
    spec = factory(tmp_path, PLAIN.format(more=more, width="reading_neighbour.WIDTH"))
    alone = replace(spec, source=f"{tmp_path}/other.py:net")
    build(alone, repository)
    for source in (spec.source, f"{tmp_path}/nets.py:other"):
        read = build(replace(spec, source=source), repository).manifest.read
        files = {path.name for path in map(Path, read) if path.parent == tmp_path}
        known = {"width.txt", "late.txt", "held.safetensors"}
        assert files == {"nets.py", "reading_neighbour.py", *known}
    (tmp_path / "nets.py").write_text((tmp_path / "nets.py").read_text() + "#\n")
    assert not build(spec, repository).unchanged
    assert build(alone, repository).unchanged


def test_what_is_read_while_the_module_is_run_is_a_part_of_it(repository, tmp_path):
    (tmp_path / "imported_late.py").write_text("FACTOR = 2.0\n")
    (tmp_path / "late.txt").write_text("1")
    code = PLAIN.format(more="", width="4").replace(
        "return self.one(x)",
        "import imported_late; "
        "return self.one(x) * imported_late.FACTOR * self.scale()\n"
        "    @torch.jit.ignore\n    def scale(self):\n"
        "        return float((HERE / 'late.txt').read_text())",
    )
    spec = replace(factory(tmp_path, code), exporter="torchscript")
    read = {Path(path).name for path in build(spec, repository).manifest.read}
    assert read >= {"nets.py", "imported_late.py", "late.txt"}
    assert not [path for path in read if path.endswith(".onnx")]
    assert build(spec, repository).unchanged
    (tmp_path / "imported_late.py").write_text("FACTOR = 3.0\n")
    assert not build(spec, repository).unchanged


LOOKS = {
    "exists": "found = (HERE / 'late.txt').exists()",
    "isfile": "import os; found = os.path.isfile(HERE / 'late.txt')",
    "glob": "found = any(HERE.glob('late.*'))",
    "listdir": "import os; found = 'late.txt' in os.listdir(HERE)",
    "scandir": "import os; found = 'late.txt' in [each.name for each in os.scandir(HERE)]",
    "open": "import contextlib; found = False\n"
    "    with contextlib.suppress(OSError): found = bool((HERE / 'late.txt').read_text())",
    "load": "import contextlib; found = False\n"
    "    with contextlib.suppress(OSError): found = torch.load(HERE / 'late.txt') is None",
}


@pytest.mark.parametrize("way", LOOKS)
def test_what_was_looked_for_and_comes_is_a_change(repository, tmp_path, way):
    code = PLAIN.format(more="", width="4").replace(
        "    return Net().eval()", f"    {LOOKS[way]}\n    return Net().eval()"
    )
    folder = tmp_path / "code"
    folder.mkdir()
    spec = factory(folder, code)
    assert build(spec, repository).notes == ()
    assert build(spec, repository).unchanged
    (folder / "late.txt").write_text("1")
    if way == "load":
        torch.save(torch.ones(1), folder / "late.txt")
    assert not build(spec, repository).unchanged
    assert build(spec, repository).unchanged
    (folder / "late.txt").unlink()
    assert not build(spec, repository).unchanged


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("way", ["jit", "safetensors"])
def test_what_native_code_loads_is_a_part_of_it(repository, tmp_path, way):
    path = tmp_path / f"weights.{way}"
    load = {
        "jit": f"state = torch.jit.load({str(path)!r}).state_dict()",
        "safetensors": f"from safetensors.torch import load_file; state = load_file({str(path)!r})",
    }[way]

    def save(seed):
        torch.manual_seed(seed)
        one = torch.nn.Linear(4, 3)
        if way == "jit":
            torch.jit.save(torch.jit.trace(one, torch.ones(1, 4)), path)
        else:
            save_file(one.state_dict(), path)

    code = PLAIN.format(more="", width="4").replace(
        "    return Net().eval()", f"    {load}; n = Net(); n.one.load_state_dict(state); return n"
    )
    spec = factory(tmp_path, code)
    save(1)
    assert str(path) in build(spec, repository).manifest.read
    assert build(spec, repository).unchanged
    save(2)
    assert not build(spec, repository).unchanged


def test_what_cannot_be_seen_is_made_again_each_time(repository, tmp_path):
    more = "import subprocess; subprocess.run(['true'], check=True)"
    spec = factory(tmp_path, PLAIN.format(more=more, width="4"))
    built = build(spec, repository)
    assert "each build makes it again: nets.py starts a program" in "\n".join(built.notes)
    assert not build(spec, repository).unchanged
    # These tests themselves have imported it.
    assert "was imported before" in str(sources.factory._imported_before("tiny"))


@pytest.mark.parametrize(
    ("path", "users"),
    [
        ("/usr/src/app/nets.py", True),
        (f"{sys.prefix}/nets.py", True),
        (f"{sys.base_prefix}/project/data.txt", True),
        (f"{Path(unchanged.__file__).parent}-models/nets.py", True),
        ("/opt/other/lib/python3.11/site-packages/net.py", True),
        (torch.__file__, False),
        (os.__file__, False),
        (unchanged.__file__, False),
        ("/proc/cpuinfo", False),
    ],
)
def test_what_is_installed_is_told_from_what_is_the_users(path, users):
    assert installed.is_the_users(path) is users


# --- a file of specs ------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in a folder that holds two models and a file of specs for them."""
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        tiny.save(tmp_path / f"{name}.onnx", *tiny.DOUBLE)
    (tmp_path / "tritonforge.toml").write_text(
        '[defaults]\nrepository = "made"\n[models.one]\nsource = "one.onnx"\n'
        '[models.resnet18]\nsource = "two.onnx"\n'
    )
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


def test_a_build_without_a_source_builds_every_model_of_the_file(run):
    told = run("build")
    assert told.exit_code == 0, told.output
    assert Path("made/one/1/model.onnx").is_file()
    assert Path("made/resnet18/1/model.onnx").is_file()
    told = run("build", "--format", "json")
    builds = json.loads(told.stdout)["builds"]
    assert [(each["model"], each["unchanged"]) for each in builds] == [
        ("one", True),
        ("resnet18", True),
    ]


def test_a_name_in_the_file_wins_over_a_source_and_says_so(run):
    told = run("build", "resnet18")
    assert told.exit_code == 0, told.output
    assert "resnet18 is as tritonforge.toml:5 has it" in told.stderr
    assert "file two.onnx" in told.stdout


def test_the_file_of_a_model_may_have_another_name(run):
    wish = ("build", "one", "--set", "default_model_filename=net.onnx")
    assert run(*wish).exit_code == 0
    assert Path("made/one/1/net.onnx").is_file()
    assert not Path("made/one/1/model.onnx").exists()
    assert run("inspect", "one").exit_code == 0
    assert "unchanged" in run(*wish).stdout
    told = run("build", "one", "--keep-config")
    assert told.exit_code == 2
    assert "it loads 'net.onnx', and a build writes 'model.onnx'" in told.stderr


def test_one_that_fails_does_not_keep_the_others(run):
    Path("one.onnx").write_bytes(b"no model")
    told = run("build")
    assert told.exit_code == 2
    assert "Error: one: " in told.stderr
    assert Path("made/resnet18/1/model.onnx").is_file()
    assert not Path("made/one").exists()


def test_what_the_file_declares_anew_replaces_what_a_build_wrote(run):
    run("build", "one")
    with Path("tritonforge.toml").open("a") as file:
        file.write("[models.one.dynamic_batching]\nmax_queue_delay_microseconds = 7\n")
    told = run("build", "one")
    assert told.exit_code == 0, told.output
    config = Path("made/one/config.pbtxt")
    assert "max_queue_delay_microseconds: 7" in config.read_text()
    config.write_text(config.read_text() + "# mine\n")
    assert run("build", "one", "--set", "response_cache=true").exit_code == 2
    assert config.read_text().endswith("# mine\n")


def test_other_commands_find_the_repository_of_the_file(run):
    run("build", "one")
    assert run("inspect", "one").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("build", "--name", "x"), "--name is of one model: name a single SOURCE"),
        (("build", "one", "--env", "prod"), "no environment 'prod'"),
        (("build", "-f", "none.toml"), "no file none.toml"),
        (("build", "one", "--set", "max_batch_siz=1"), "did you mean 'max_batch_size'?"),
        (("build", "one", "--set", "max_batch_size=x"), "max_batch_size: it takes a whole number"),
        (("build", "one", "--label", "y"), "write probs=classes.txt"),
        (("build", "one", "--bake"), "Error: --bake writes half floats"),
        (("build", "resnet1"), "Hint: did you mean 'resnet18' of tritonforge.toml?"),
        (("spec", "on"), "Hint: did you mean 'one' of tritonforge.toml?"),
        (("spec", "one", "--set", f"samples={'[' * 3000}"), "cannot be read: too many lists"),
        (("build", "one", "--set", "model_metrics=true"), "24.10 would refuse the config: model_m"),
        (("spec", "one", "--range", "a=1..2", "--range", "a=1..3"), "names 'a' twice"),
    ],
)
def test_wrong_use_is_told(run, words, said):
    told = run(*words)
    assert told.exit_code == 2
    assert said in told.stderr
    assert not Path("made").exists()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("ranges.sq = 3", "tritonforge.toml:8: ranges.sq: --range names 'sq', which"),
        ("inputs.z.domain = '0..1'", "tritonforge.toml:8: inputs.z: --domain names 'z', which"),
        ("inputs.z.optional = true", "tritonforge.toml:8: inputs.z: the model has no input 'z'"),
        ("bake = true", "tritonforge.toml:8: bake: --bake writes half floats"),
    ],
)
def test_what_a_build_refuses_is_told_with_its_line(run, key, said):
    with Path("tritonforge.toml").open("a") as file:
        file.write(f"[env.p.models.two]\n{key}\nsource = 'two.onnx'\n")
    told = run("build", "two", "--env", "p")
    assert told.exit_code == 2
    assert f"Error: {said}" in told.stderr
    assert "two is as tritonforge.toml:7 has it" in told.stderr or "bake" in key


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--range", "sq=1..2"), "Error: --range names 'sq', which the model does not have"),
        (("--set", "ranges.sq=3"), "Error: --set: ranges.sq: --range names 'sq'"),
        (("--set", "ranges.sq=3", "--dry-run"), "Error: --set: ranges.sq: --range names 'sq'"),
    ],
)
def test_what_a_build_refuses_is_told_with_its_flag(run, words, said):
    told = run("build", "one", *words)
    assert told.exit_code == 2
    assert said in told.stderr


def test_a_broken_file_of_specs_is_told_where_it_is_needed_alone(run, monkeypatch):
    run("build", "one")
    config = "made/one/config.pbtxt"
    apart = (
        ("inspect", "one.onnx"),
        ("place", "one.onnx", "--accelerator", "cpu"),
        ("config", "get", config, "name"),
        ("config", "diff", config, f"./{config}"),
        ("inspect", "--help"),
        ("inspect", "-r", "made", "one"),
    )

    def check(said):
        for words in apart:
            assert run(*words).exit_code == 0, words
        for words in (("inspect", "one"), ("config", "diff", "one", config), ("build",)):
            told = run(*words)
            assert told.exit_code == 2
            assert said in told.stderr

    monkeypatch.setenv("TRITONFORGE_ENV", "none")
    check("no environment 'none'")
    monkeypatch.delenv("TRITONFORGE_ENV")
    Path("tritonforge.toml").write_text("[models")
    check("tritonforge.toml:1: this is no TOML")


def test_without_a_file_there_is_nothing_to_build(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(main, ["build"])
    assert told.exit_code == 2
    assert "tritonforge init" in told.stderr


def test_the_spec_of_a_model_tells_who_said_what(run):
    told = run("spec", "one", "--cores", "2", "--all", "--format", "json")
    values = {each["key"]: each for each in json.loads(told.stdout)["values"]}
    assert values["cores"] == {"key": "cores", "value": 2, "origin": "--cores"}
    assert values["source"]["origin"] == "tritonforge.toml:4"
    assert values["max_batch_size"] == {"key": "max_batch_size", "value": 16, "origin": "default"}
    told = run("spec", "one", "--set", "parameters.execution_mode=1")
    assert "parameters.execution_mode" in told.stdout
