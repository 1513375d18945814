"""What was wished of a model's inputs: sizes, domains and recorded samples, held against it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny
from onnx import TensorProto as T
from onnx import numpy_helper

from tritonforge import manifest, release, samples, sources, wishes
from tritonforge.build import build
from tritonforge.errors import SpecError
from tritonforge.parity import Wish, parity
from tritonforge.repository import Repository
from tritonforge.spec import Domain, ModelSpec, Range
from tritonforge.tensors import DType, Signature, TensorSpec

X = np.arange(12, dtype=np.float32).reshape(2, 6)
SHAPE = np.array([4, 3], np.int64)


@pytest.fixture
def source(tmp_path):
    """Return a file whose second input no drawn numbers suit: the shape to give the first."""
    return tiny.save(
        tmp_path / "reshape.onnx",
        [("Reshape", ["x", "shape"], ["y"], {})],
        [("x", T.FLOAT, ["n", "m"]), ("shape", T.INT64, [2])],
        [("y", T.FLOAT, ["p", "q"])],
    )


def spec(source, *paths, **more):
    return ModelSpec(source=str(source), target=release.find("24.10"), samples=paths, **more)


def stored(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def test_data_of_onnx_is_read_in_the_order_of_the_inputs(source, tmp_path):
    folder = tmp_path / "test_data_set_0"
    folder.mkdir()
    for number, array in enumerate((X, SHAPE)):
        onnx.save_tensor(numpy_helper.from_array(array), folder / f"input_{number}.pb")
    wish = spec(source, folder)
    wished = wishes.with_samples(wish, sources.load(wish))
    domains = dict(wished.domains)
    np.testing.assert_array_equal(domains["shape"].values[0], SHAPE)
    assert domains["x"].kind == "recorded"
    assert dict(wished.ranges) == {"n": Range(low=2, high=2), "m": Range(low=6, high=6)}


def test_a_range_that_was_asked_for_holds(source, tmp_path):
    wish = spec(source, stored(tmp_path / "s.npz", x=X), ranges=(("n", Range(high=4)),))
    wished = wishes.with_samples(wish, sources.load(wish))
    assert dict(wished.ranges)["n"] == Range(high=4)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": X}, "holds 'y', which the model does not take"),
        ({"x": X.astype(np.float64)}, "is FP64 of shape"),
        ({"shape": np.zeros(3, np.int64)}, r"of shape \[3\], the model takes shape:INT64:2"),
        ({}, "holds nothing"),
        ({"x": np.array([None])}, "cannot read the sample"),
    ],
)
def test_a_sample_that_does_not_fit_is_named(source, tmp_path, arrays, said):
    wish = spec(source, stored(tmp_path / "s.npz", **arrays))
    with pytest.raises(SpecError, match=said):
        wishes.with_samples(wish, sources.load(wish))


def test_what_cannot_be_read_is_named(source, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.npz").write_bytes(b"PK\3\4 truncated")
    for name, said in (
        ("empty", "holds 0 inputs"),
        ("no.npz", "cannot read the sample"),
        ("absent.npz", "cannot read the sample"),
    ):
        wish = spec(source, tmp_path / name)
        with pytest.raises(SpecError, match=said):
            wishes.with_samples(wish, sources.load(wish))


def test_samples_hold_the_same_inputs_and_no_domain_contradicts_them(source, tmp_path):
    first, other = stored(tmp_path / "a.npz", x=X), stored(tmp_path / "b.npz", shape=SHAPE)
    wish = spec(source, first, other)
    with pytest.raises(SpecError, match="the first one x"):
        wishes.with_samples(wish, sources.load(wish))
    wish = spec(source, first, domains=(("x", Domain(kind="normal")),))
    with pytest.raises(SpecError, match="--domain and --sample both"):
        wishes.with_samples(wish, sources.load(wish))


def test_recorded_values_are_taken_in_turn_and_cut_or_repeated():
    values = (np.arange(6, dtype=np.int64).reshape(2, 3), np.full((1, 3), 7))
    tensor = TensorSpec(name="i", dtype=DType.INT64, dims=("n", "m"))
    domains = {"i": Domain(kind="recorded", values=values)}

    def draw(seed, **sizes):
        return samples.draw((tensor,), domains, sizes, seed)["i"].tolist()

    assert draw(0, n=2, m=3) == [[0, 1, 2], [3, 4, 5]]
    assert draw(1, n=1, m=3) == [[7, 7, 7]]
    assert draw(0, n=3, m=2) == [[0, 1], [3, 4], [0, 1]]
    row = TensorSpec(name="i", dtype=DType.INT64, dims=(3,))
    assert samples.draw((row,), domains, {}, 2)["i"].tolist() == [3, 4, 5]  # a row of the first


def test_recorded_values_that_have_gone_are_told():
    domains = {"i": Domain(kind="recorded", values=())}
    with pytest.raises(SpecError, match="the recorded values of 'i' are not there"):
        samples.draw((TensorSpec(name="i", dtype=DType.INT64, dims=(2,)),), domains, {}, 0)


def test_a_model_is_built_and_compared_on_its_recorded_samples(source, tmp_path):
    repository = Repository(tmp_path / "models")
    paths = [
        stored(tmp_path / "a.npz", x=X, shape=SHAPE),
        stored(tmp_path / "b.npz", x=-X, shape=np.array([6, 2], np.int64)),
    ]
    built = build(spec(source, *paths), repository)
    assert built.manifest.gate.passed
    known = manifest.read(built.entry.version_dir)
    assert [each.tolist() for each in known.domains["shape"].values] == [[4, 3], [6, 2]]
    (report,) = parity(repository, ("reshape",), Wish(), rehearsed=lambda _: None)
    assert report.passed, report


def test_a_range_or_domain_of_something_else_is_told(source):
    x, y = (TensorSpec(name=name, dtype=DType.FP32, dims=("n", 4)) for name in "xy")
    signature = Signature(inputs=(x,), outputs=(y,))
    wishes.check_ranges(spec(source, domains=(("x", Domain(kind="mask")),)), signature)
    with pytest.raises(SpecError, match="cannot bound 'n', which is the batch") as caught:
        wishes.check_ranges(spec(source, ranges=(("n", Range()),)), signature)
    assert "--max-batch-size" in caught.value.hint
    with pytest.raises(SpecError, match="--range names 'seq', which the model does not") as caught:
        wishes.check_ranges(spec(source, ranges=(("seq", Range()),)), signature)
    assert caught.value.hint == "it has n"
    with pytest.raises(SpecError, match="--domain names 'y'") as caught:
        wishes.check_ranges(spec(source, domains=(("y", Domain(kind="mask")),)), signature)
    assert caught.value.hint == "it has x"
