import re
from dataclasses import replace

import nets
import numpy as np
import pytest
import test_abuse
import tiny

from tritonforge import client, manifest, release, rules
from tritonforge.build import build
from tritonforge.errors import ConfigError, RepositoryError, ServerError
from tritonforge.repository import Repository
from tritonforge.serving import serving
from tritonforge.spec import ModelSpec

GPU = """instance_group { kind: KIND_GPU gpus: 0 }
optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" } } }
"""
ROWS = np.ones((2, 4), np.float32)


def test_a_config_for_a_gpu_is_rehearsed_from_a_copy(embedded, tmp_path):
    del embedded
    folder = tiny.double(tmp_path, "wants_gpu", GPU)
    before = (folder / "config.pbtxt").read_text()
    tiny.double(tmp_path, "fine")
    told = []
    with serving(tmp_path, rehearsed=told.append) as endpoint:
        assert endpoint.rehearsal
        for model in ("wants_gpu", "fine"):
            with client.remote(endpoint, model) as run:
                np.testing.assert_array_equal(run({"x": ROWS})["y"], 2)
    assert (folder / "config.pbtxt").read_text() == before
    assert len(told) == 1
    assert str(folder / "config.pbtxt") in told[0]
    changes = [line for line in told[0].splitlines() if line.startswith(("+ ", "- "))]
    assert any("KIND_GPU" in line for line in changes)
    assert any("tensorrt" in line for line in changes)
    assert not any("dims" in line for line in changes)


def test_only_the_models_that_are_wanted_are_loaded(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path)
    broken = tiny.double(tmp_path, "broken")
    (broken / "config.pbtxt").write_text("no config {")
    told = []
    with serving(tmp_path, models=["double"], rehearsed=told.append) as endpoint:
        assert not endpoint.rehearsal
        assert client.metadata(endpoint, "double").versions
        with pytest.raises(ServerError, match="broken"):
            client.metadata(endpoint, "broken")
    assert told == []
    with pytest.raises(ConfigError, match=r"broken/config\.pbtxt:1"), serving(tmp_path):
        pass


def test_a_model_without_a_version_keeps_no_other_from_being_served(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path)
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "config.pbtxt").write_text('backend: "onnxruntime"')
    with serving(tmp_path) as endpoint, client.remote(endpoint, "double") as run:
        np.testing.assert_array_equal(run({"x": ROWS})["y"], 2)
    said = "'later' has no version"
    with pytest.raises(RepositoryError, match=said), serving(tmp_path, models=["later"]):
        pass


def test_a_model_that_does_not_load_says_how_the_others_are_served(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path)
    (tiny.double(tmp_path, "broken") / "1" / "model.onnx").write_bytes(b"no model")
    said = "'broken' version 1 does not load"
    with pytest.raises(ServerError, match=said) as caught, serving(tmp_path):
        pass
    assert (
        f"name the others to leave it out: tritonforge serve -r {tmp_path} double;"
        in caught.value.hint
    )


def test_models_that_do_not_load_have_a_line_each(embedded, tmp_path):
    del embedded
    for name in ("one", "other"):
        tiny.double(tmp_path, name)
        (tmp_path / name / "1" / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ServerError) as caught, serving(tmp_path):
        pass
    lines = [each.split() for each in caught.value.message.splitlines()]
    assert [each[:2] for each in lines if each[0] == "model"] == [
        ["model", "'one'"],
        ["model", "'other'"],
    ]


def test_a_model_that_does_not_load_names_the_rule_and_its_remedy(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path, "sizes", "dynamic_batching { preferred_batch_size: [ 4, 16, 32 ] }")
    tiny.double(tmp_path)
    with (
        pytest.raises(ServerError, match="'sizes' does not load: dyn") as caught,
        serving(tmp_path),
    ):
        pass
    lines = caught.value.message.splitlines()
    place = re.escape("sizes/config.pbtxt:7:")
    assert len(lines) == 3
    for line, size in zip(lines[1:], (16, 32), strict=True):
        assert re.match(
            f"BAT101 {place}[0-9]+: dynamic_batching.*: the preferred size {size} should be ", line
        )
        assert line.endswith(f", 8. {remedied('BAT101')}")


def remedied(code):
    """Return the remedy of a rule as a sentence."""
    remedy = rules.find(code).remedy
    return f"{remedy[0].upper()}{remedy[1:]}"


def test_a_config_that_cannot_be_read_names_the_rule(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path, more="dynamic_batching {")
    with (
        pytest.raises(ConfigError, match=r"\nSYN101 double/config.pbtxt:") as caught,
        serving(tmp_path),
    ):
        pass
    assert caught.value.message.endswith(f". {remedied('SYN101')}")


def test_all_configs_that_cannot_be_read_are_told_at_once(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path)
    tiny.double(tmp_path, "open", "dynamic_batching {")
    tiny.double(tmp_path, "strange", "dinamic_batching { }\nfoo: 1\n")
    with pytest.raises(ConfigError) as caught, serving(tmp_path):
        pass
    first, *lines = caught.value.message.splitlines()
    assert first == "2 configs cannot be read: those of 'open', 'strange'"
    assert [" ".join(each.split()[:2]) for each in lines] == [
        "SYN101 open/config.pbtxt:8:1:",
        "FLD103 strange/config.pbtxt:7:18:",
        "FLD103 strange/config.pbtxt:8:4:",
    ]
    assert "did you mean 'dynamic_batching'? Write the name" in lines[1]
    assert f"tritonforge check -r {tmp_path} tells" in caught.value.hint
    assert f"tritonforge serve -r {tmp_path} double leaves" in caught.value.hint


def test_a_model_that_does_not_load_says_what_it_was_built_for(embedded, tmp_path):
    del embedded
    spec = ModelSpec(source=f"{nets.__file__}:mlp", target=release.find("24.10"))
    build(spec, Repository(tmp_path))
    folder = Repository(tmp_path).entry("nets_mlp").version_dir
    manifest.write(replace(manifest.read(folder), target="25.08"), folder)
    (folder / "model.onnx").write_bytes(b"no model")
    said = r"was built for 25\.08, the server is Triton 2\.51\.0, ONNX Runtime 1\.23\.0"
    with pytest.raises(ServerError, match=said), serving(tmp_path):
        pass


def test_models_are_served_by_the_onnx_runtime_of_their_target(embedded, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "OPSET", 22)  # which none before 1.21 loads
    tiny.double(tmp_path)
    with serving(tmp_path, target=release.find("25.03")) as endpoint:
        assert (endpoint.triton, endpoint.onnxruntime) == ("2.51.0", "1.21.0")
        with client.remote(endpoint, "double") as run:
            np.testing.assert_array_equal(run({"x": ROWS})["y"], 2)
    refused = r"'double' version 1 does not load: .*opset"
    with pytest.raises(ServerError, match=refused) as caught, serving(tmp_path):
        pass
    file = tmp_path / "double" / "1" / "model.onnx"
    assert f"`tritonforge build {file} --name double -r DIR` converts" in caught.value.hint
    assert embedded.onnxruntime == "1.19.2"


def test_models_of_several_targets_are_served_by_the_embedded_release(embedded, tmp_path):
    repository = Repository(tmp_path)
    for name in ("old", "new"):
        spec = ModelSpec(source=f"{nets.__file__}:mlp", name=name, target=release.find("24.10"))
        build(spec, repository)
    newer = repository.entry("new").version_dir
    manifest.write(replace(manifest.read(newer), target="25.03"), newer)
    told = []
    with serving(tmp_path, noted=told.append) as endpoint:
        assert endpoint.onnxruntime == embedded.onnxruntime
    assert told == ["'new' was built for 25.03, whose ONNX Runtime is 1.21.0: --target 25.03"]


def test_folders_that_are_no_models_are_not_taken_for_some(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path)
    (tmp_path / ".git" / "hooks").mkdir(parents=True)
    (tmp_path / ".ipynb_checkpoints").mkdir()
    with serving(tmp_path) as endpoint, client.remote(endpoint, "double") as run:
        np.testing.assert_array_equal(run({"x": ROWS})["y"], 2)


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_that_the_policy_leaves_out_is_served_where_it_is_asked_for(
    embedded, tmp_path, version
):
    del embedded
    folder = tiny.double(
        tmp_path, more=f"version_policy {{ specific {{ versions: {3 - version} }} }}"
    )
    (folder / "2").mkdir()
    (folder / "2" / "model.onnx").write_bytes((folder / "1" / "model.onnx").read_bytes())
    with (
        serving(tmp_path, version=version) as endpoint,
        client.remote(endpoint, "double", version=version) as run,
    ):
        np.testing.assert_array_equal(run({"x": ROWS})["y"], 2)
        assert client.metadata(endpoint, "double").versions == (str(version),)


def test_a_path_that_a_shell_would_take_apart_is_served(embedded, tmp_path):
    del embedded
    root = tmp_path / "my models; touch pwned & $(touch pwned)"
    root.mkdir()
    folder = tiny.double(root)
    with serving(root) as endpoint, client.remote(endpoint, "double") as run:
        np.testing.assert_array_equal(run({"x": ROWS})["y"], 2)
    (folder / "1" / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ServerError) as caught, serving(root):
        pass
    assert "tritonforge-" not in caught.value.message  # the paths are the user's own


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("my model", ""),
        ("modèle", ""),
        ("double", 'instance_group { name: "x$(touch pwned)" }'),
        ("double", 'default_model_filename: "a b.onnx"'),
    ],
)
def test_a_name_that_a_shell_would_take_apart_is_refused(tmp_path, monkeypatch, name, more):
    monkeypatch.chdir(tmp_path)
    tiny.double(tmp_path / "models", name, more=more)
    with (
        pytest.raises(ConfigError, match="hands it to a shell, unquoted"),
        serving(tmp_path / "models"),
    ):
        pass
    assert not (tmp_path / "pwned").exists()


def test_a_temporary_folder_that_a_shell_would_take_apart_is_refused(tmp_path, monkeypatch):
    tiny.double(tmp_path / "models")
    (tmp_path / "my files").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "my files"))
    with (
        pytest.raises(ServerError, match="temporary folder") as caught,
        serving(tmp_path / "models"),
    ):
        pass
    assert "set TMPDIR" in caught.value.hint
    assert list((tmp_path / "my files").iterdir()) == []


def test_a_manifest_of_a_target_that_is_not_known_yet_keeps_nothing_from_being_served(
    embedded, tmp_path
):
    del embedded
    spec = ModelSpec(source=f"{nets.__file__}:mlp", target=release.find("24.10"))
    build(spec, Repository(tmp_path))
    folder = Repository(tmp_path).entry("nets_mlp").version_dir
    manifest.write(replace(manifest.read(folder), target="31.01"), folder)
    with serving(tmp_path) as endpoint:
        assert client.metadata(endpoint, "nets_mlp").versions == ("1",)


def test_models_can_be_loaded_anew_where_the_user_says_so(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path)
    (tmp_path / "unbuilt").mkdir()
    flags = ("--model-control-mode=explicit", "--load-model=*")
    with serving(tmp_path, models=["double"], arguments=flags) as endpoint:
        test_abuse.reload(endpoint, "double")
        with client.remote(endpoint, "double") as run:
            np.testing.assert_array_equal(run({"x": ROWS})["y"], 2)


ENSEMBLE = """platform: "ensemble"
max_batch_size: 8
input {{ name: "x" data_type: TYPE_FP32 dims: [ 4 ] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [ 4 ] }}
ensemble_scheduling {{ step {{
  model_name: "{step}" model_version: -1
  input_map {{ key: "x" value: "x" }} output_map {{ key: "y" value: "y" }}
}} }}
"""


def test_an_ensemble_brings_its_steps_and_is_refused_without_them(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path)
    tiny.double(tmp_path, "other")
    (tmp_path / "whole" / "1").mkdir(parents=True)
    (tmp_path / "whole" / "config.pbtxt").write_text(ENSEMBLE.format(step="double"))
    with serving(tmp_path, models=["whole"]) as endpoint:
        with client.remote(endpoint, "whole") as run:
            np.testing.assert_array_equal(run({"x": ROWS})["y"], 2)
        with pytest.raises(ServerError, match="other"):
            client.metadata(endpoint, "other")
    (tmp_path / "whole" / "config.pbtxt").write_text(ENSEMBLE.format(step="nowhere"))
    with pytest.raises(ServerError, match="nowhere"), serving(tmp_path, models=["whole"]):
        pass


def test_an_ensemble_that_keeps_all_models_from_loading_is_explained(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path)
    (tmp_path / "whole" / "1").mkdir(parents=True)
    config = ENSEMBLE.format(step="double").replace("TYPE_FP32", "TYPE_INT32", 1)
    (tmp_path / "whole" / "config.pbtxt").write_text(config)
    with pytest.raises(ServerError, match="inconsistent data type") as caught, serving(tmp_path):
        pass
    assert "ENS207 whole/config.pbtxt:7:3: " in caught.value.message
    assert f"tritonforge serve -r {tmp_path} double; " in caught.value.hint


def test_ensembles_in_a_circle_are_explained(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path)
    for name, step in (("there", "back"), ("back", "there")):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").write_text(ENSEMBLE.format(step=step))
    with pytest.raises(ServerError, match="circular dependency") as caught, serving(tmp_path):
        pass
    assert "\nENS203 back/config.pbtxt:" in caught.value.message
    assert "\nENS203 there/config.pbtxt:" in caught.value.message


def test_what_ends_the_server_at_its_start_is_explained(embedded, tmp_path):
    del embedded
    for number in range(12):
        tags = f'metric_tags {{ key: "team-{number}" value: "a" }}'
        tiny.double(tmp_path, f"m{number:02}", tags)
    with pytest.raises(ServerError, match="killed by SIGABRT") as caught, serving(tmp_path):
        pass
    _, *told = caught.value.message.splitlines()
    assert [line[:6] for line in told[:-1]] == ["GEN111"] * 10
    assert told[0] == (
        "GEN111 m00/config.pbtxt:7:1: Prometheus has no label 'team-0', and the server ends itself."
        f" {remedied('GEN111')}"
    )
    assert told[-1] == "2 lines more, which tritonforge check tells"


def test_what_a_slow_server_will_refuse_is_told_while_it_is_waited_for(
    embedded, tmp_path, monkeypatch
):
    del embedded
    monkeypatch.setattr("tritonforge.server._LATE_SECONDS", 1.0)
    tiny.double(tmp_path)
    (tmp_path / "slow" / "1").mkdir(parents=True)
    (tmp_path / "slow" / "1" / "Model.py").write_text("")
    (tmp_path / "slow" / "config.pbtxt").write_text(
        'backend: "python"\noutput { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }\n'
    )
    said = []
    with (
        pytest.raises(ServerError, match=r"not ready within 8 s\nLAY108 slow/1/model\.py: "),
        serving(tmp_path, noted=said.append, timeout=8.0),
    ):
        pass
    (told,) = said
    assert told.startswith("not ready yet, and this is refused:\nLAY108 slow/1/model.py: ")


def test_a_foreign_model_is_served_under_its_own_name(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path, "_pre")
    with serving(tmp_path, models=["_pre"]) as endpoint, client.remote(endpoint, "_pre") as run:
        np.testing.assert_array_equal(run({"x": ROWS})["y"], 2)


def test_a_model_that_is_not_there_is_told_before_anything_starts(tmp_path):
    tiny.double(tmp_path)
    with (
        pytest.raises(RepositoryError, match="no model 'doubel'") as caught,
        serving(tmp_path, models=["doubel"]),
    ):
        pass
    assert "did you mean 'double'" in caught.value.hint
