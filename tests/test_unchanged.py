"""What has not changed is not built again; what has changed in any way is."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny
from click.testing import CliRunner
from onnx import numpy_helper

from tritonforge import release, unchanged
from tritonforge.build import build
from tritonforge.cli import main
from tritonforge.errors import ConfigError
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec, Range

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


def test_a_config_that_was_edited_is_not_passed_over(repository, spec):
    entry = build(spec, repository).entry
    entry.config_path.write_text(entry.config_path.read_text() + "# mine\n")
    assert not build(spec, repository).unchanged


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
    assert not [path for path in read if "site-packages" in path or path.endswith(".pyc")]
    assert build(spec, repository).unchanged
    (folder / "width.txt").write_text("4")
    with pytest.raises(ConfigError):  # it gives another shape now
        build(spec, repository)


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
        (("build", "--name", "x"), "--name and -x are of one model"),
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
    check("tritonforge.toml is no TOML")


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
