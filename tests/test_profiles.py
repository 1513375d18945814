import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.errors import SpecError
from tritonforge.profiles import profiles, texts
from tritonforge.spec import Range
from tritonforge.tensors import DType, TensorSpec

DIMS = ("batch", "seq", "h", "w")


def tensor(name, *dims, dtype=DType.FP32):
    return TensorSpec(name=name, dtype=dtype, dims=dims)


IMAGE = (tensor("x", "batch", 3, 224, 224),)
TEXT = (tensor("ids", "batch", "seq", dtype=DType.INT64), tensor("mask", "batch", "seq"))


def read(text):
    """Read a text as ONNX Runtime does: each input's shapes, in the order of the profiles."""
    found = {}
    for entry in text.split(","):
        name, _, dims = entry.partition(":")
        found.setdefault(name, []).append(tuple(int(each) for each in dims.split("x")))
    return found


def test_a_fixed_image_in_batches():
    (found,) = profiles(IMAGE, {}, 16, "batch")
    assert found.min == {"x": (1, 3, 224, 224)}
    assert found.opt == found.max == {"x": (16, 3, 224, 224)}
    assert texts((found,)) == {
        "trt_profile_min_shapes": "x:1x3x224x224",
        "trt_profile_opt_shapes": "x:16x3x224x224",
        "trt_profile_max_shapes": "x:16x3x224x224",
    }


def test_optima_are_as_said():
    ranges = {"seq": Range(low=8, high=256, opt=128)}
    (found,) = profiles(TEXT, {**ranges, "batch": Range(high=16, opt=4)}, 16, "batch")
    assert found.opt == {"ids": (4, 128), "mask": (4, 128)}
    assert texts((found,))["trt_profile_min_shapes"] == "ids:1x8,mask:1x8"
    (found,) = profiles(TEXT, {**ranges, "batch": Range(high=9, opt=2)}, 16, "batch")
    assert (found.opt["ids"], found.max["ids"]) == ((2, 128), (16, 256))


def test_the_largest_size_is_on_the_steps():
    image = (tensor("x", 1, 3, "h", "h"),)
    (found,) = profiles(image, {"h": Range(low=32, high=500, step=32)}, 0, None)
    assert found.max == found.opt == {"x": (1, 3, 480, 480)}


def test_several_profiles_stand_in_turn():
    parts = ({"seq": Range(high=64)}, {"seq": Range(low=65, high=256)}, {})
    found = profiles(TEXT, {"seq": Range(high=512, opt=128)}, 8, "batch", parts)
    said = texts(found)
    assert said["trt_profile_min_shapes"] == (
        "ids:1x1,mask:1x1,ids:1x65,mask:1x65,ids:1x1,mask:1x1"
    )
    assert said["trt_profile_opt_shapes"] == (
        "ids:8x64,mask:8x64,ids:8x128,mask:8x128,ids:8x128,mask:8x128"
    )
    assert said["trt_profile_max_shapes"] == (
        "ids:8x64,mask:8x64,ids:8x256,mask:8x256,ids:8x512,mask:8x512"
    )


def test_a_profile_may_narrow_the_batch_and_keeps_the_steps():
    image = (tensor("x", "batch", 3, "h", "h"),)
    parts = ({"batch": Range(low=1, high=1)}, {"h": Range(low=64, high=130, opt=96)})
    ranges = {"h": Range(low=32, high=512, step=32)}
    one, other, _ = profiles(image, ranges, 8, "batch", (*parts, {}))
    assert one.max["x"] == (1, 3, 512, 512)
    assert (other.min["x"], other.opt["x"]) == ((1, 3, 64, 64), (8, 3, 96, 96))
    assert other.max["x"] == (8, 3, 128, 128)


@pytest.mark.parametrize(
    "part",
    [
        {"h": Range(low=40, high=64)},
        {"h": Range(low=32, high=513)},
        {"h": Range(low=1, high=64)},
        {"h": Range(low=32)},
        {"h": Range(low=32, high=512, step=48)},
        {"batch": Range(low=1, high=9)},
    ],
)
def test_a_profile_stays_within_the_model(part):
    image = (tensor("x", "batch", "h"),)
    with pytest.raises(SpecError, match=r"the profile's range \w+=.* is not part of the model's"):
        profiles(image, {"h": Range(low=32, high=512, step=32)}, 8, "batch", (part,))


def test_an_optimum_of_a_profile_is_on_the_models_steps():
    part = {"h": Range(low=32, high=128, opt=100)}
    with pytest.raises(SpecError, match=r"optimum 100 is not within h=32\.\.128:32") as caught:
        profiles((tensor("x", "h"),), {"h": Range(low=32, high=512, step=32)}, 0, None, (part,))
    assert "steps of 32" in caught.value.hint


def test_a_profile_of_an_unknown_dimension():
    with pytest.raises(SpecError, match="names the dimension 'sq'") as caught:
        profiles(TEXT, {"seq": Range(high=8)}, 4, "batch", ({"sq": Range(high=4)},))
    assert caught.value.hint == "the dynamic dimensions are batch, seq"


@pytest.mark.parametrize(
    ("ranges", "hint"),
    [
        ({}, "give --range seq=1..512"),
        ({"seq": Range(low=7)}, "give --range seq=7..512"),
        ({"seq": Range(high=2**31)}, f"bound it by {2**31 - 1} or less: --range seq=1..512"),
    ],
)
def test_a_dimension_without_an_upper_end_is_named(ranges, hint):
    with pytest.raises(SpecError, match="the dimension 'seq'") as caught:
        profiles(TEXT, ranges, 4, "batch")
    assert caught.value.hint == hint


def test_without_batching_the_batch_is_a_dimension_as_any_other():
    with pytest.raises(SpecError, match="the dimension 'batch', which has no range"):
        profiles(IMAGE, {}, 0, "batch")
    (found,) = profiles(IMAGE, {"batch": Range(low=2, high=3)}, 0, "batch")
    assert found.min == {"x": (2, 3, 224, 224)}


def test_an_optimum_batch_is_a_batch():
    with pytest.raises(SpecError, match=r"the optimum batch 17 is not within 1\.\.16"):
        profiles(IMAGE, {"batch": Range(high=20, opt=17)}, 16, "batch")


def test_nothing_dynamic_needs_no_profile():
    assert profiles((tensor("x", 1, 3), tensor("scale")), {}, 0, None) == ()
    assert texts(()) == {}


def test_what_is_fixed_stays_out():
    (found,) = profiles((*IMAGE, tensor("scale"), tensor("mean", 3)), {}, 4, "batch")
    assert [*found.min] == ["x"]


@pytest.mark.parametrize("name", ["x:0", "a,b", ""])
def test_a_name_that_the_format_cannot_say(name):
    found = profiles((tensor(name, "batch", 3),), {}, 4, "batch")
    with pytest.raises(SpecError, match="cannot stand in a profile of TensorRT"):
        texts(found)


@pytest.mark.parametrize(
    ("parts", "left"),
    [
        (({"seq": Range(high=64)},), "seq 65"),
        (({"seq": Range(high=64)}, {"seq": Range(low=70, high=256)}), "seq 65"),
        (({"batch": Range(low=2, high=4)},), "batch 1"),
        (
            ({"batch": Range(high=2), "seq": Range(low=33, high=256)}, {"seq": Range(high=32)}),
            "batch 3, seq 33",
        ),
    ],
)
def test_sizes_that_no_profile_covers_are_told(parts, left):
    with pytest.raises(SpecError, match=rf"the profiles leave out {left}$"):
        profiles(TEXT, {"seq": Range(high=256)}, 4, "batch", parts)


def test_profiles_may_meet_on_the_steps():
    parts = ({"seq": Range(low=32, high=96)}, {"seq": Range(low=128, high=256)})
    found = profiles(TEXT, {"seq": Range(low=32, high=256, step=32)}, 4, "batch", parts)
    assert len(found) == 2


@st.composite
def some_ranges(draw):
    low, more = draw(st.integers(1, 64)), draw(st.integers(0, 400))
    step = draw(st.sampled_from([1, 1, 2, 8, 32]))
    found = Range(low=low, high=low + more, step=step)
    opt = draw(st.none() | st.integers(low, low + more).map(found.nearest))
    return Range(low=low, high=low + more, step=step, opt=opt)


@st.composite
def parts_of(draw, ranges):
    found = {}
    for name in draw(st.sets(st.sampled_from([*ranges]))):
        model = ranges[name]
        ends = st.integers(model.low, model.high)
        low = model.nearest(draw(ends))
        found[name] = Range(low=low, high=draw(st.integers(low, model.high)))
    return found


@given(data=st.data())
def test_every_profile_covers_every_dynamic_input_within_its_ranges(data):
    names = st.lists(st.from_regex(r"[a-z.]{1,4}", fullmatch=True), min_size=1, unique=True)
    dims = st.lists(st.sampled_from(DIMS) | st.integers(1, 9), max_size=4)
    inputs = tuple(tensor(name, *data.draw(dims)) for name in data.draw(names))
    ranges = {dim: data.draw(some_ranges()) for dim in DIMS[1:]}
    used = {dim: ranges[dim] for each in inputs for dim in each.dynamic if dim in ranges}
    parts = tuple(data.draw(st.lists(parts_of(used), max_size=3))) if used else ()
    most = data.draw(st.integers(1, 64))
    parts += ({},) * bool(parts)  # so that no size is left out
    found = profiles(inputs, ranges, most, "batch", parts)
    dynamic = [each for each in inputs if each.dynamic]
    assert len(found) == (max(len(parts), 1) if dynamic else 0)
    said = texts(found)
    if not dynamic:
        assert said == {}
        return
    least, best, largest = (
        read(said[f"trt_profile_{end}_shapes"]) for end in ("min", "opt", "max")
    )
    for shapes, end in ((least, "min"), (best, "opt"), (largest, "max")):
        assert sum(map(len, shapes.values())) == len(found) * len(dynamic)
        for each in dynamic:
            assert shapes[each.name] == [getattr(one, end)[each.name] for one in found]
    whole = {**ranges, "batch": Range(high=most)}
    for each in dynamic:
        for index in range(len(found)):
            rows = [shapes[each.name][index] for shapes in (least, best, largest)]
            for dim, *sizes in zip(each.dims, *rows, strict=True):
                assert sizes == sorted(sizes)
                assert all(
                    size in whole[dim] if isinstance(dim, str) else size == dim for size in sizes
                )
