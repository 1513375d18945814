"""Ensembles with models that answer as often as they like, as Triton 2.51 takes them."""

import agreement
import pytest
import specimens
from repertoire import MODEL, REPOSITORIES, ensemble, parts, said

STREAMS, JOIN = ("streams", "x=raw", "y=t"), ("wide", "a=t b=u", "sum=done")
RAW, DONE, LONG = "raw FP32 4", "done FP32 4", "done FP32 -1"
INNER = ensemble(8, RAW, DONE, ("streams", "x=raw", "y=done"))


def codes(monkeypatch, models):
    """Return the codes of what is refused of a repository."""
    monkeypatch.setitem(REPOSITORIES, "one", lambda: models)
    return {each.rule.code for each in agreement.refusals(specimens.case("one", "m"))}


def wired(outputs, *steps, **more):
    """Describe an ensemble of models of the repertoire, and of `more`."""
    known = {model for model, _, _ in steps} - more.keys()
    config = ensemble(8, RAW, outputs, *steps)
    return {"m": (config, {"1/": b""}), **parts(*known), **more}


@pytest.mark.parametrize(
    ("outputs", "steps"),
    [
        (DONE, [STREAMS, ("streams", "x=t", "y=done")]),
        (LONG, [STREAMS, ("wide", "a=t b=t", "sum=done")]),
        (
            LONG,
            [STREAMS, ("a", "x=t", "y=u"), ("b", "x=t", "y=v"), ("wide", "a=u b=v", "sum=done")],
        ),
        (LONG, [("wide", "a=u b=v", "sum=done"), ("a", "x=raw", "y=u"), ("b", "x=raw", "y=v")]),
    ],
)
def test_answers_of_one_step_go_together(monkeypatch, outputs, steps):
    assert codes(monkeypatch, wired(outputs, *steps)) == set()


@pytest.mark.parametrize(
    ("outputs", "steps"),
    [
        (LONG, [STREAMS, ("streams", "x=t", "y=u"), JOIN]),
        (LONG, [JOIN, ("streams", "x=t", "y=u"), STREAMS]),
        (LONG, [STREAMS, ("wide", "a=t b=raw", "sum=done")]),
        ("done FP32 4; t FP32 4", [STREAMS, ("a", "x=raw", "y=done")]),
        ("done FP32 4; t FP32 4", [STREAMS, ("streams", "x=raw", "y=done")]),
    ],
)
def test_answers_of_two_steps_do_not(monkeypatch, outputs, steps):
    assert codes(monkeypatch, wired(outputs, *steps)) == {"ENS210"}


def test_an_ensemble_with_a_decoupled_step_is_decoupled(monkeypatch):
    steps = [("inner", "raw=raw", "done=t"), ("wide", "a=t b=raw", "sum=done")]
    inner = {"inner": (INNER, {"1/": b""}), **parts("streams")}
    assert codes(monkeypatch, wired(LONG, *steps, **inner)) == {"ENS210"}


def test_a_step_whose_model_lists_an_output_twice_is_refused(monkeypatch):
    double = parts("a")["a"][1][MODEL]
    twice = (said(8, "x FP32 4", "y FP32 4; y FP32 4"), {MODEL: double})
    models = wired(DONE, ("twice", "x=raw", "y=done"), twice=twice)
    assert codes(monkeypatch, models) >= {"ENS211"}


def test_a_step_that_does_not_batch_is_no_limit(monkeypatch):
    assert codes(monkeypatch, wired(DONE, ("lone", "x=raw", "y=done"))) == set()
    assert codes(monkeypatch, wired(DONE, ("small", "x=raw", "y=done"))) == {"ENS209"}


def test_what_an_ensemble_takes_and_gives_is_compared_as_it_takes_it(monkeypatch):
    models = wired("done FP32 4; raw FP32 9", ("a", "x=raw", "y=done"))
    assert codes(monkeypatch, models) == set()


def test_an_ensemble_is_not_decoupled_by_what_it_says_itself(monkeypatch):
    steps = [("inner", "raw=raw", "done=t"), ("wide", "a=t b=raw", "sum=done")]
    lone = ensemble(8, RAW, DONE, ("a", "x=raw", "y=done"))
    said_so = f"{lone}\nmodel_transaction_policy {{ decoupled: true }}"
    inner = {"inner": (said_so, {"1/": b""}), **parts("a")}
    assert codes(monkeypatch, wired(LONG, *steps, **inner)) == set()


def test_an_ensemble_far_below_is_followed_once(monkeypatch):
    """Of thirty each has the next one twice: along each way there would be a thousand million."""
    names = [f"e{level}" for level in range(30)]
    nested = {
        name: (
            ensemble(8, RAW, DONE, (below, "raw=raw", "done=t"), (below, "raw=t", "done=done")),
            {"1/": b""},
        )
        for name, below in zip(names, [*names[1:], "inner"], strict=True)
    }
    plain = (ensemble(8, RAW, DONE, ("a", "x=raw", "y=done")), {"1/": b""})
    steps = [("e0", "raw=raw", "done=t"), ("wide", "a=t b=raw", "sum=done")]
    models = wired(LONG, *steps, **nested, inner=plain, **parts("a"))
    assert codes(monkeypatch, models) == set()
    models = wired(LONG, *steps, **nested, inner=(INNER, {"1/": b""}), **parts("streams"))
    assert codes(monkeypatch, models) == {"ENS210"}


@pytest.mark.parametrize(("dims", "reshape", "refused"), [("2,2", "4", False), ("4", "2,2", True)])
def test_an_output_of_an_ensemble_is_taken_as_it_is_reshaped(monkeypatch, dims, reshape, refused):
    told = f"done FP32 {dims} reshape {{ shape: [ {reshape} ] }}"
    models = wired(told, ("a", "x=raw", "y=done"))
    assert codes(monkeypatch, models) == ({"ENS208"} if refused else set())
