import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tritonforge import gate
from tritonforge.errors import GateError
from tritonforge.spec import Tolerance
from tritonforge.tensors import DType

NONE = Tolerance(atol=0, rtol=0)
TOLERANCES = st.builds(Tolerance, atol=st.floats(0, 10), rtol=st.floats(0, 1))
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
FLOATS = [each for each in DType if each.is_float]
WHOLE = [each for each in DType if each.numpy.kind in "iub"]


@st.composite
def pairs(draw, dtypes, **elements):
    """Two arrays of one dtype and shape."""
    dtype, shape = draw(st.sampled_from(dtypes)).numpy, draw(SHAPES)
    return tuple(draw(hnp.arrays(dtype, shape, **elements)) for _ in "ab")


def one(want, got, tolerance=NONE):
    """Compare one output."""
    (report,) = gate.compare([({"y": want}, {"y": got})], tolerance).outputs
    return report


def array(*values, dtype="float32"):
    return np.array(values, dtype)


@given(pairs(FLOATS), TOLERANCES)
def test_the_needed_tolerance_is_the_smallest_that_passes(pair, tolerance):
    report = one(*pair, tolerance)
    assert report.passed == (report.needed_atol <= tolerance.atol)
    if report.needed_atol == math.inf:
        assert not one(*pair, replace(tolerance, atol=1e300)).passed
        return
    assert one(*pair, replace(tolerance, atol=report.needed_atol)).passed
    if report.needed_atol > 0:
        less = math.nextafter(report.needed_atol, 0)
        assert not one(*pair, replace(tolerance, atol=less)).passed


@given(pairs(WHOLE))
def test_whole_numbers_are_compared_exactly(pair):
    want, got = pair
    report = one(want, got, Tolerance())
    exact = [abs(int(a) - int(b)) for a, b in zip(want.flat, got.flat, strict=True)]
    assert report.mismatched == sum(map(bool, exact))
    assert report.max_abs == report.needed_atol == float(max(exact, default=0))
    assert (report.atol, report.rtol) == (0, 0)
    assert report.passed == np.array_equal(want, got)


@given(hnp.arrays(np.dtype("O"), SHAPES, elements=st.text() | st.binary()))
def test_strings_agree_as_text(want):
    encoded = np.array([x.encode() if isinstance(x, str) else x for x in want.flat], dtype=object)
    assert one(want, encoded.reshape(want.shape)).passed
    if want.size:
        other = want.copy()
        other.flat[0] = "something else"
        report = one(want, other, Tolerance(atol=1e9, rtol=1))
        assert (report.mismatched, report.needed_atol) == (1, math.inf)


@given(pairs(FLOATS))
def test_an_array_agrees_with_itself_whatever_it_holds(pair):
    report = one(pair[0], pair[0].copy())
    assert report.passed
    assert (report.max_abs, report.needed_atol) == (0, 0)


@given(pairs([*FLOATS, *WHOLE]), st.integers(0, 3))
def test_samples_add_up(pair, more):
    want, got = pair
    single = one(want, got, Tolerance())
    report = gate.compare([({"y": want}, {"y": got})] * (1 + more), Tolerance())
    (added,) = report.outputs
    assert report.samples == 1 + more
    assert added.elements == want.size * (1 + more)
    assert added.mismatched == single.mismatched * (1 + more)
    assert (added.max_abs, added.needed_atol) == (single.max_abs, single.needed_atol)


@pytest.mark.parametrize(
    ("want", "got"),
    [
        (1.0, math.nan),
        (math.nan, 1.0),
        (math.inf, 1.0),
        (1.0, math.inf),
        (math.inf, -math.inf),
        (math.inf, math.nan),
    ],
)
def test_no_tolerance_hides_a_nan_or_an_infinity(want, got):
    report = one(array(want), array(got), Tolerance(atol=1e30, rtol=1e30))
    assert report.mismatched == 1
    assert report.max_abs == report.needed_atol == math.inf


def test_the_same_nan_and_infinities_agree():
    values = array(math.nan, math.inf, -math.inf, 0.0)
    assert one(values, values.copy()).passed
    assert one(array(0.0), array(-0.0)).passed


def test_a_large_relative_tolerance_leaves_numbers():
    report = one(np.array([1e300]), np.array([1.0]), Tolerance(atol=0, rtol=1e30))
    assert report.passed
    assert report.needed_atol == 0


def test_neighbours_beyond_what_floats_can_count_differ():
    want = np.array([2**64 - 1, 2**63, 0], np.uint64)
    report = one(want, np.array([2**64 - 2, 2**63, 0], np.uint64), Tolerance())
    assert (report.mismatched, report.max_abs, report.worst.index) == (1, 1, (0,))
    lowest, highest = (np.array([end], np.int64) for end in (-(2**63), 2**63 - 1))
    assert one(lowest, highest).max_abs == float(2**64 - 1)


def test_scalars_are_compared():
    for dtype in (DType.FP32, DType.INT64, DType.UINT8, DType.BOOL):
        want, got = (np.array(value, dtype.numpy) for value in (0, 1))
        report = one(want, got)
        assert (report.elements, report.mismatched, report.worst.index) == (1, 1, ())
    assert one(np.array(-1), np.array(1)).max_abs == 2
    assert not one(np.array("a", object), np.array("b", object)).passed


def test_an_empty_output_agrees():
    report = one(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    assert report.passed
    assert (report.elements, report.top1, report.worst) == (0, None, None)
    assert report.verdict == "empty"


def test_an_output_is_compared_where_one_sample_has_something_of_it():
    empty, full = ({"y": array(*values)} for values in ((), (1.0,)))
    assert gate.compare([(empty, empty)], NONE).uncompared == ("y",)
    assert gate.compare([(empty, empty), (full, full)], NONE).uncompared == ()
    assert [one(each["y"], each["y"]).verdict for each in (empty, full)] == ["empty", "pass"]
    assert one(array(1.0), array(2.0)).verdict == "FAIL"


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_default_tolerance_is_that_of_the_dtype(dtype):
    atol, rtol = gate.DEFAULTS[dtype]
    report = one(np.ones(3, dtype.numpy), np.ones(3, dtype.numpy), Tolerance())
    assert (report.dtype, report.atol, report.rtol) == (dtype.name, atol, rtol)
    mixed = one(np.ones(3, dtype.numpy), np.ones(3, dtype.numpy), Tolerance(atol=0))
    assert (mixed.atol, mixed.rtol) == (0, rtol)


def test_a_relative_tolerance_means_nothing_to_whole_numbers():
    report = one(np.array([100]), np.array([101]), Tolerance(rtol=1))
    assert not report.passed
    assert report.rtol == 0
    assert one(np.array([100]), np.array([101]), Tolerance(atol=1)).passed


def test_a_missing_output_and_another_shape_or_dtype_are_told():
    x = array(1, 2)
    with pytest.raises(GateError, match="output 'y' is missing; there are z, w"):
        gate.compare([({"y": x}, {"z": x, "w": x})], NONE)
    with pytest.raises(GateError, match=r"'y' is float32 \[1, 2\] where float32 \[2\] is wanted"):
        one(x, x[None])
    with pytest.raises(GateError, match=r"'y' is float64 \[2\] where float32 \[2\] is wanted"):
        one(x, x.astype(np.float64))
    with pytest.raises(GateError, match=r"'y' is float32 \[1\]"):
        gate.compare([({"y": x}, {"y": x}), ({"y": x}, {"y": x[:1]})], NONE)


def test_an_output_that_nobody_asked_for_is_left_out():
    x = array(1)
    (report,) = gate.compare([({"y": x}, {"y": x, "z": x})], NONE).outputs
    assert report.name == "y"


def test_no_sample_is_no_proof():
    assert not gate.compare([], NONE).passed


def test_the_worst_element_is_the_one_farthest_beyond_its_tolerance():
    want, got = array(1000, 1, 0), array(1009, 1.5, 0)  # 9 of 10 allowed, 0.5 of 0.01
    near, far = {"y": want}, {"y": want + array(0, 0, 1)}
    report = gate.compare([(near, {"y": got}), (far, far)], Tolerance(atol=0, rtol=0.01))
    (output,) = report.outputs
    assert (output.worst.sample, output.worst.index) == (0, (1,))
    assert (output.worst.want, output.worst.got) == ("1", "1.5")
    assert (output.mismatched, output.elements, output.max_abs) == (1, 6, 9)
    assert gate.summary(report) == (
        "output 'y' differs at [1] (sample 0): 1.5 for 1; 1 of 6 elements are beyond"
        " atol 0 + rtol 0.01, it would take --atol 0.49"
    )


@given(st.floats(1e-30, 1e30))
def test_the_tolerance_that_is_told_passes(needed):
    report = gate.compare([({"y": np.zeros(1)}, {"y": np.array([needed])})], NONE)
    told = float(gate.summary(report).rpartition("--atol ")[2])
    assert told == report.outputs[0].passing_atol
    assert needed <= told <= needed * 1.1


def test_a_summary_names_the_output_that_differs_most():
    want = {"a": array(0, 0, 0), "b": array(0, 0, 0), "c": array(0, 0, 0)}
    got = {"a": array(0, 0, 9), "b": array(1, 1, 0), "c": array(0, 0, 0)}
    report = gate.compare([(want, got)], NONE)
    assert gate.summary(report).startswith("output 'b' differs at [0]")
    assert [output.passed for output in report.outputs] == [False, False, True]
    assert gate.summary(gate.compare([(want, want)] * 3, NONE)) == "3 samples agree"


def test_no_atol_is_told_where_none_would_pass():
    report = gate.compare([({"y": array(0)}, {"y": array(math.nan)})], NONE)
    assert gate.summary(report).endswith("no tolerance would pass")


def test_a_classifier_is_judged_by_its_first_choice():
    want = array([1, 2, 3], [3, 2, 1], [0, 5, 0], [0, 0, 1])
    got = array([1, 2, 3], [2, 3, 1], [0, 5, 0], [0, 0, 1])
    report = one(want, got)
    assert (report.top1, report.flips) == (0.75, None)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_single_score_is_judged_by_its_side_of_the_threshold(shape):
    probabilities = one(
        array(0.1, 0.49, 0.9, 1).reshape(shape), array(0.1, 0.51, 0.9, 1).reshape(shape)
    )
    assert (probabilities.flips, probabilities.top1) == (1, None)
    logits = one(array(-3, -0.1, 0.4, 9).reshape(shape), array(-3, 0.1, 0.4, 9).reshape(shape))
    assert logits.flips == 1


@pytest.mark.parametrize("shape", [(), (2, 3, 4)])
def test_other_outputs_decide_nothing(shape):
    report = one(np.ones(shape, np.float32), np.ones(shape, np.float32))
    assert (report.top1, report.flips) == (None, None)
    report = one(np.ones((2, 3), np.int64), np.ones((2, 3), np.int64))
    assert report.top1 is None


def test_an_output_that_is_tiny_everywhere_can_fail():
    want = {"y": np.array([[3e-9, 1e-9]], np.float32)}
    same = {"y": want["y"] * np.float32(1 + 1e-5)}
    other = {"y": np.array([[1e-9, 3e-9]], np.float32)}
    assert gate.compare([(want, same)], Tolerance()).passed
    assert not gate.compare([(want, other)], Tolerance()).passed
    assert gate.compare([(want, other)], Tolerance(atol=1e-4)).passed  # where it is asked for


def test_the_tolerance_that_is_told_is_the_one_that_was_used():
    report = gate.compare(
        [
            ({"y": array(8, 4)}, {"y": array(8, 4.004)}),  # needs more, and may
            ({"y": array(0.0625, 0)}, {"y": array(0.0625, 2**-16)}),
        ],
        Tolerance(rtol=1e-3),
    )
    (output,) = report.outputs
    assert not output.passed
    assert output.worst.sample == 1
    assert output.atol == 0.0625 * 1e-4
    assert "are beyond atol 6.25e-06 + rtol 0.001" in gate.summary(report)


def test_the_tolerance_that_was_asked_for_is_told_as_it_is():
    report = one(array(0.5, 0), array(0.5, 1), Tolerance(atol=0.25))
    assert report.atol == 0.25
