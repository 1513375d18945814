import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge import release
from tritonforge.errors import SpecError
from tritonforge.spec import (
    Domain,
    ModelSpec,
    Range,
    Tolerance,
    check_name,
    parse_input,
    valid_name,
)
from tritonforge.tensors import DType, TensorSpec

TARGET = release.find(release.EMBEDDED)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


def model(**more):
    return ModelSpec(source="m", target=TARGET, **more)


@given(NAMES, st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_range_is_read_as_it_is_written(name, low, more):
    assert Range.parse(f"{name}={low}..{low + more}") == (name, Range(low=low, high=low + more))
    assert Range.parse(f"{name}={low}") == (name, Range(low=low, high=low))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "seq",
        "seq=",
        "=1..2",
        "seq=a..b",
        "seq=1..x",
        "seq=..5",
        "seq=5..",
        "seq=..",
        "seq=1.5",
        "seq=1...5",
        "seq=1..5@",
        "seq=1..5@x",
        "seq=@3",
        "seq=1..8@4:2",
    ],
)
def test_a_range_that_cannot_be_read_is_told_with_an_example(text):
    with pytest.raises(SpecError, match="cannot read --range") as caught:
        Range.parse(text)
    assert "write seq=1..512" in caught.value.hint


def test_a_range_with_a_step():
    name, found = Range.parse("h=32..512:32")
    assert (name, found) == ("h", Range(low=32, high=512, step=32))
    assert [found.nearest(size) for size in (1, 32, 63, 64, 500)] == [32, 32, 32, 64, 480]
    with pytest.raises(SpecError, match="the step of a range is 1 or more"):
        Range.parse("h=1..2:0")


def test_a_range_with_an_optimum():
    assert Range.parse("seq=32..256@128") == ("seq", Range(low=32, high=256, opt=128))
    assert Range.parse("h=32..512:32@256") == ("h", Range(low=32, high=512, step=32, opt=256))
    assert Range(low=32, high=256, opt=128).optimum == 128
    assert Range(low=32, high=500, step=32).optimum == 480
    assert Range(low=3, opt=9).optimum == 9
    assert Range(low=3).optimum is None


@pytest.mark.parametrize("text", ["n=2..9@1", "n=2..9@10", "n=2..9:3@6", "n=2@3", "n=1..9@-1"])
def test_an_optimum_is_one_of_the_sizes(text):
    with pytest.raises(SpecError, match=r"the optimum -?\d+ is not within \d\.\.\d") as caught:
        Range.parse(text)
    assert "name one of the sizes from" in caught.value.hint


@given(st.integers(1, 50), st.integers(0, 99), st.integers(1, 9), st.integers(0, 200))
def test_a_range_holds_what_it_steps_through(low, more, step, size):
    found = Range(low=low, high=low + more, step=step)
    assert (size in found) == (size in range(low, low + more + 1, step))
    assert found.largest == range(low, low + more + 1, step)[-1]
    assert Range.parse(f"n={found}") == ("n", found)


def test_a_domain_of_real_numbers():
    assert Domain.parse("x=boxes") == ("x", Domain(kind="boxes", high=1000))
    assert Domain.parse("x=1e3..1e4") == ("x", Domain(kind="uniform", low=1e3, high=1e4))


def test_a_range_holds_a_size_at_least():
    with pytest.raises(SpecError, match=r"the range 5\.\.4 is empty"):
        Range.parse("seq=5..4")
    with pytest.raises(SpecError, match="smaller than 1, got 0"):
        Range.parse("seq=0..4")
    with pytest.raises(SpecError, match="smaller than 1, got -1"):
        Range(low=-1)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("x=0..30000", Domain(kind="integers", low=0, high=30000)),
        ("x=-3..3", Domain(kind="integers", low=-3, high=3)),
        ("x=0.0..1.0", Domain(kind="uniform", low=0, high=1)),
        ("x=0..1.5", Domain(kind="uniform", low=0, high=1.5)),
        ("x=-.5...5", Domain(kind="uniform", low=-0.5, high=0.5)),
        ("x=mask", Domain(kind="mask")),
        ("x=normal", Domain(kind="normal", low=0, high=1)),
    ],
)
def test_a_domain_is_read_as_it_is_written(text, domain):
    assert Domain.parse(text) == ("x", domain)


@pytest.mark.parametrize(
    "text", ["", "x", "x=", "=mask", "x=maks", "x=1..", "x=..1", "x=1.0", "x=a..b"]
)
def test_a_domain_that_cannot_be_read_is_told_with_its_forms(text):
    with pytest.raises(SpecError, match="cannot read --domain") as caught:
        Domain.parse(text)
    assert "write" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "x=1..1",
        "x=2..1",
        "x=1.0..0.5",
        "x=nan..1.0",
        "x=-inf..1.0",
        "x=0.0..inf",
        "x=0..99999999999999999999",
    ],
)
def test_a_domain_that_nothing_can_be_drawn_from_is_refused(text):
    with pytest.raises(SpecError, match="the domain"):
        Domain.parse(text)


def test_the_default_domain_of_a_dtype():
    assert Domain.default(DType.FP16) == Domain(kind="normal")
    assert Domain.default(DType.INT64) == Domain(kind="integers", low=0, high=2)
    assert Domain.default(DType.BOOL) == Domain(kind="integers", low=0, high=2)


def test_domains_print_shortly():
    assert str(Domain(kind="mask")) == "mask"
    assert str(Domain(kind="integers", low=0, high=30522)) == "integers 0..30522"
    assert str(Domain(kind="uniform", low=-2.1179, high=2.64)) == "uniform -2.1179..2.64"


@given(st.floats(allow_nan=True))
def test_a_tolerance_is_a_number_from_zero_up(value):
    if 0 <= value < float("inf"):
        assert Tolerance(atol=value, rtol=value).atol == value
        return
    for name in ("atol", "rtol"):
        with pytest.raises(SpecError, match=name):
            Tolerance(**{name: value})


@given(NAMES, st.sampled_from(DType), st.lists(st.integers(1, 4096) | NAMES, max_size=5).map(tuple))
def test_an_input_is_read_as_it_is_printed(name, dtype, dims):
    tensor = TensorSpec(name=name, dtype=dtype, dims=dims)
    assert parse_input(str(tensor)) == tensor


def test_an_input_may_have_spaces_and_a_name_with_colons():
    assert parse_input("a:0:INT64:batch, 3") == TensorSpec(
        name="a:0", dtype=DType.INT64, dims=("batch", 3)
    )


@pytest.mark.parametrize("text", ["", "x", "x:FP32", ":FP32:1"])
def test_an_input_that_cannot_be_read_is_told_with_an_example(text):
    with pytest.raises(SpecError, match="cannot read --input") as caught:
        parse_input(text)
    assert caught.value.hint == "write ids:INT64:batch,seq"


@pytest.mark.parametrize("dim", ["0", "-1", "a-b", " ", "1.5", "٣", "²"])
def test_a_dimension_that_cannot_be_read_is_named(dim):
    with pytest.raises(SpecError, match="cannot read the dimension") as caught:
        parse_input(f"x:FP32:batch,{dim}")
    assert "a number from 1 up is fixed" in caught.value.hint


def test_an_input_of_an_unknown_dtype():
    with pytest.raises(SpecError, match="unknown dtype 'FLOAT'"):
        parse_input("x:FLOAT:1")


@pytest.mark.parametrize("name", ["resnet50", "a", "9", "a.b-c_d+e", "x" * 200])
def test_names_that_a_model_can_have(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".hidden", "a/b", "a..b", "..", "a b", "ä", "-x", "a\n", "x" * 201, "a:b", "a\\b"]
)
def test_names_that_a_model_cannot_have(name):
    with pytest.raises(SpecError, match="cannot name a model") as caught:
        check_name(name)
    assert "letters" in caught.value.hint


@given(st.text())
def test_any_text_becomes_a_valid_name_that_stays(text):
    name = valid_name(text)
    assert check_name(name) == name
    assert valid_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [("resnet50", "resnet50"), ("my model (1)", "my_model_1"), ("a..b", "a_b"), ("日本", "model")],
)
def test_a_valid_name_stays_near_its_text(text, name):
    assert valid_name(text) == name


def test_a_wish_that_contradicts_itself_is_refused():
    x = parse_input("x:FP32:batch")
    for words, more in {
        "--max-batch-size": {"max_batch_size": -1},
        "--cores must be": {"cores": 0},
        "cannot name a model": {"name": "a/b"},
        "--range names 'n' twice": {"ranges": (("n", Range()), ("m", Range()), ("n", Range()))},
        "--domain names 'x' twice": {"domains": (("x", Domain(kind="mask")),) * 2},
        "--input names 'x' twice": {"inputs": (x, x)},
    }.items():
        with pytest.raises(SpecError, match=words):
            model(**more)


def test_an_explicit_zero_is_kept():
    assert model(max_batch_size=0, seed=0).max_batch_size == 0
    assert Tolerance(atol=0).atol == 0
