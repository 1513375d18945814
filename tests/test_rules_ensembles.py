"""What two models of a repository cannot have together: the steps of an ensemble."""

import pytest
import tiny
from onnx import TensorProto as T

from tritonforge.check import check
from tritonforge.repository import Repository


def place(repository, name, given=T.FLOAT, size=4, batch=8):
    """Place a model of one input and one output."""
    kind = {T.FLOAT: "FP32", T.INT32: "INT32"}[given]
    tiny.place(
        repository,
        name,
        tiny.config(batch, f"x {kind} {size}", f"y {kind} {size}"),
        [("Identity", ["x"], ["y"], {})],
        [("x", given, ["n", size])],
        [("y", given, ["n", size])],
    )


def ensemble(repository, *steps, name="both", batch=8):
    """Place an ensemble of these steps, each a model, what it takes and what it gives."""
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    written = ",\n".join(
        f'{{ model_name: "{model}" model_version: -1 {maps} }}' for model, maps in steps
    )
    (folder / "config.pbtxt").write_text(
        f"""\
platform: "ensemble"
max_batch_size: {batch}
input [ {{ name: "a" data_type: TYPE_FP32 dims: [ 4 ] }} ]
output [ {{ name: "b" data_type: TYPE_FP32 dims: [ 4 ] }} ]
ensemble_scheduling {{ step [ {written} ] }}
""",
        "utf-8",
    )


def maps(takes, gives):
    return f'input_map {{ key: "x" value: "{takes}" }} output_map {{ key: "y" value: "{gives}" }}'


def found(repository, name="both"):
    report = check(Repository(repository))
    return {each.rule.code for each in report.findings if each.model == name}


def refused(repository, name="both"):
    report = check(Repository(repository))
    return {
        each.rule.code: each
        for each in report.findings
        if each.model == name and each.rule.severity == "refused"
    }


def test_an_ensemble_of_two_that_fit_is_not_refused(tmp_path):
    place(tmp_path, "one")
    place(tmp_path, "two")
    ensemble(tmp_path, ("one", maps("a", "m")), ("two", maps("m", "b")))
    assert refused(tmp_path) == {}


@pytest.mark.parametrize(
    ("second", "steps", "batch", "code"),
    [
        ({}, [("one", maps("a", "m")), ("tow", maps("m", "b"))], 8, "ENS201"),
        ({"given": T.INT32}, [("one", maps("a", "m")), ("two", maps("m", "b"))], 8, "ENS207"),
        ({"size": 5}, [("one", maps("a", "m")), ("two", maps("m", "b"))], 8, "ENS208"),
        ({"batch": 2}, [("one", maps("a", "m")), ("two", maps("m", "b"))], 8, "ENS209"),
        ({}, [("one", maps("a", "m").replace('"x"', '"z"'))], 8, "ENS205"),
        ({}, [("one", maps("a", "m").replace('"x"', '"z"'))], 8, "ENS206"),
        ({}, [("one", maps("a", "b")), ("both", maps("a", "c"))], 8, "ENS203"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, second, steps, batch, code):
    place(tmp_path, "one")
    place(tmp_path, "two", **second)
    ensemble(tmp_path, *steps, batch=batch)
    assert code in refused(tmp_path)


@pytest.mark.parametrize(
    ("models", "name", "meant"),
    [
        (["text_encoder"], "Text-Encoder", "text_encoder"),
        (["text_encoder", "Text_Encoder"], "text-encoder", None),
        (["text_decoder"], "text_encoder", None),
        (["net_v1"], "net_v2", None),
        (["net_v11"], "net_v1.1", None),
        (["net_v1.1"], "net-v1_1", "net_v1.1"),
        (["one"], "BOTH", None),
    ],
)
def test_a_step_gets_the_model_that_it_leaves_no_doubt_of(tmp_path, models, name, meant):
    for each in models:
        place(tmp_path, each)
    ensemble(tmp_path, (name, maps("a", "b")))
    found = refused(tmp_path)["ENS201"].found
    made = [(each.path, each.value) for each in found.changes]
    assert made == ([(found.at, f'"{meant}"')] if meant else [])


def test_a_version_that_is_not_served_is_refused_where_it_is_named(tmp_path):
    place(tmp_path, "one")
    ensemble(tmp_path, ("one", maps("a", "b")))
    config = tmp_path / "both" / "config.pbtxt"
    config.write_text(config.read_text().replace("model_version: -1", "model_version: 3"), "utf-8")
    finding = refused(tmp_path)["ENS202"]
    assert finding.line == 5
    assert "not served in version 3: 1" in finding.found.said


def test_what_is_refused_takes_the_ensembles_above_it_along(tmp_path):
    place(tmp_path, "one")
    (tmp_path / "one" / "1" / "model.onnx").unlink()
    ensemble(tmp_path, ("one", maps("a", "b")))
    outer = maps("a", "b").replace('"x"', '"a"').replace('"y"', '"b"')
    ensemble(tmp_path, ("both", outer), name="outer")
    assert "ENS204" in refused(tmp_path)
    assert "ENS204" in refused(tmp_path, "outer")


def test_an_ensemble_that_does_not_fit_its_models_takes_those_above_it_along(tmp_path):
    place(tmp_path, "one", batch=2)
    ensemble(tmp_path, ("one", maps("a", "b")))
    outer = maps("a", "b").replace('"x"', '"a"').replace('"y"', '"b"')
    ensemble(tmp_path, ("both", outer), name="outer")
    assert set(refused(tmp_path)) == {"ENS209"}
    assert "ENS204" in refused(tmp_path, "outer")


def test_a_batch_among_the_dims_is_the_batch_of_a_model_that_batches(tmp_path):
    place(tmp_path, "one")
    tiny.place(
        tmp_path,
        "two",
        tiny.config(0, "x FP32 -1,4", "y FP32 -1,4"),
        [("Identity", ["x"], ["y"], {})],
        [("x", T.FLOAT, ["n", 4])],
        [("y", T.FLOAT, ["n", 4])],
    )
    ensemble(tmp_path, ("one", maps("a", "m")), ("two", maps("m", "b")), batch=0)
    config = tmp_path / "both" / "config.pbtxt"
    config.write_text(config.read_text().replace("dims: [ 4 ]", "dims: [ -1, 4 ]"), "utf-8")
    assert refused(tmp_path) == {}
