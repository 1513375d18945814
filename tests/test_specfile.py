"""`tritonforge.toml`: read, checked, laid over each other."""

import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge import knobs, pbtxt, specfile
from tritonforge.errors import SourceError, SpecError
from tritonforge.spec import Domain, Range, Tolerance
from tritonforge.specfile import Layer
from tritonforge.specfile.lines import positions
from tritonforge.tensors import DType, TensorSpec


@pytest.fixture
def written(tmp_path):
    """Write a file of specs and read it."""

    def write(text):
        path = tmp_path / "tritonforge.toml"
        path.write_text(text, "utf-8")
        return specfile.find(path)

    return write


WHOLE = """
[defaults]
target = "24.04"
accelerator = "cpu"
repository = "models"

[models.resnet50]
max_batch_size = 8

[models.bert]
source = "nets.py:bert"
weights = "bert.safetensors"
seed = 7
cores = 2
opset = 17
exporter = "torchscript"
samples = ["calls.npz"]
labels = { logits = "classes.txt" }
states = { h0 = "h1" }
warmup = "none"
tolerance = { atol = 1e-3, rtol = 0.5 }
ranges = { seq = "1..512", h = 32 }
profiles = [{ seq = "1..64" }, { seq = "65..512" }]
dynamic_batching.preferred_batch_size = [4, 8]

[models.bert.inputs]
ids = { dtype = "INT64", dims = ["batch", "seq"], domain = "0..30522" }
mask = { dtype = "INT64", dims = ["batch", "seq"], domain = "mask", optional = true }

[env.gpu.defaults]
accelerator = "cuda"
target = "25.06"

[env.gpu.models.bert]
dynamic_batching.max_queue_delay_microseconds = 5
ranges = { seq = "1..256" }

[env.gpu.models.more]
source = "more.onnx"
"""


def test_a_model_says_all_that_a_build_asks(written, tmp_path):
    found = specfile.effective("bert", written(WHOLE))
    spec = found.spec
    assert found.listed
    assert spec.name == "bert"
    assert spec.source == f"{tmp_path}/nets.py:bert"
    assert spec.weights == f"{tmp_path}/bert.safetensors"
    assert spec.target.tag == "24.04"
    assert (spec.seed, spec.cores, spec.opset, spec.exporter) == (7, 2, 17, "torchscript")
    assert spec.samples == (tmp_path / "calls.npz",)
    assert spec.labels == (("logits", tmp_path / "classes.txt"),)
    assert spec.states == (("h0", "h1"),)
    assert spec.warmup == "none"
    assert spec.tolerance == Tolerance(atol=1e-3, rtol=0.5)
    assert dict(spec.ranges) == {"seq": Range(high=512), "h": Range(low=32, high=32)}
    assert spec.profiles == ({"seq": Range(high=64)}, {"seq": Range(low=65, high=512)})
    assert spec.inputs[0] == TensorSpec(name="ids", dtype=DType.INT64, dims=("batch", "seq"))
    assert dict(spec.domains)["ids"] == Domain(kind="integers", low=0, high=30522)
    assert spec.config == {
        "dynamic_batching": {"preferred_batch_size": [4, 8]},
        "input": {"mask": {"optional": True}},
    }


def test_an_environment_lies_over_the_file(written):
    file = written(WHOLE)
    spec = specfile.effective("bert", file, "gpu").spec
    assert spec.accelerator == "cuda"
    assert spec.target.tag == "25.06"
    assert dict(spec.ranges)["seq"] == Range(high=256)
    assert dict(spec.ranges)["h"] == Range(low=32, high=32)
    assert spec.config["dynamic_batching"] == {
        "preferred_batch_size": [4, 8],
        "max_queue_delay_microseconds": 5,
    }
    assert file.models() == ("resnet50", "bert")
    assert file.models("gpu") == ("resnet50", "bert", "more")


def test_flags_lie_over_everything_and_each_value_knows_who_said_it(written, tmp_path):
    flags = Layer(said={"seed": 1, "ranges": {"seq": "2..3"}}, origins={("seed",): "--seed"})
    found = specfile.effective("bert", written(WHOLE), "gpu", flags)
    origins = {value.key: value.origin for value in found.values}
    path = tmp_path / "tritonforge.toml"
    assert found.spec.seed == 1
    assert origins["seed"] == "--seed"
    line = WHOLE.splitlines().index('target = "25.06"') + 1
    assert origins["target"] == f"{path}:{line}"
    assert origins["inputs.ids.domain"].startswith(f"{path}:")
    assert {value.key for value in found.defaults} >= {"sample_seed", "max_batch_size", "bake"}


def test_a_source_that_is_no_model_of_the_file_has_its_defaults(written):
    found = specfile.effective("resnet18", written(WHOLE), "gpu")
    assert not found.listed
    assert found.spec.source == "resnet18"
    assert found.spec.name is None
    assert found.spec.accelerator == "cuda"


def test_of_fields_that_exclude_each_other_the_upper_one_stands(written):
    file = written("""
[defaults]
dynamic_batching = true
version_policy.latest = 2
[models.a]
sequence_batching.oldest.max_candidate_sequences = 4
version_policy.all = true
[env.e.models.a]
sequence_batching.direct = true
""")
    config = specfile.effective("a", file).spec.config
    assert config == {
        "version_policy": {"all": True},
        "sequence_batching": {"oldest": {"max_candidate_sequences": 4}},
    }
    config = specfile.effective("a", file, "e").spec.config
    assert config["sequence_batching"] == {"direct": True}


WRONG = [
    ("[model.a]\n", 1, "there is no table 'model'", "did you mean 'models'?"),
    ("[models.a]\nmax_batch_siz = 4\n", 2, "no key 'max_batch_siz'", "'max_batch_size'?"),
    ("[models.a]\nmax_batch_size = '4'\n", 2, "a whole number from 0 to 2147483647, not '4'", None),
    ("[models.a]\nmax_batch_size = -1\n", 2, "a whole number from 0 to 2147483647, not -1", None),
    ("[models.a]\nmax_batch_size = true\n", 2, "a whole number from 0 to", None),
    ("[models.a]\naccelerator = 'tensorr'\n", 2, "not 'tensorr'", "did you mean 'tensorrt'?"),
    ("[models.a]\ntarget = '24.99'\n", 2, "24.99", None),
    ("[models.a]\n\nranges = { seq = 'x' }\n", 3, "models.a.ranges.seq: cannot read", '"1..512"'),
    ("[models.a]\nranges = { seq = '9..1' }\n", 2, "is empty", None),
    ("[models.a]\nmax_batch_size = 3000000000\n", 2, "from 0 to 2147483647, not 30", None),
    ("[models.a]\nseed = 9223372036854775808\n", 2, "a whole number of TOML has 64 bits", None),
    ("[models.a]\ninputs.x = { dtype = 'FP33' }\n", 2, "unknown dtype 'FP33'", None),
    ("[models.a]\ninputs.x = { dims = ['a-b'] }\n", 2, "cannot read the dimension", None),
    ("[models.a]\ninstance_group.kind = []\n", 2, "KIND_MODEL, not []", None),
    (f"[models.a]\nsamples = '{'s' * 99}'\n", 2, f"not '{'s' * 59}…", None),
    ("[models.a]\ninputs.x = { dtpe = 'FP32' }\n", 2, "no key 'dtpe'", "'dtype'?"),
    ("[models.a]\ninputs.x = { domain = 'z' }\n", 2, "cannot read the domain 'z'", "mask"),
    ("[models.a]\ninputs = 3\n", 2, "it takes a table", None),
    ("[models.a]\ndynamic_batching.max_delay = 1\n", 2, "no field 'max_delay'", None),
    ("[models.a.instance_group]\nkind = 'KIND_GPUS'\n", 2, "not 'KIND_GPUS'", "'KIND_GPU'?"),
    ("[[models.a.instance_group]]\n[[models.a.instance_group]]\ncount = 1.5\n", 3, "1.5", None),
    ("[models.a]\nplatform = 'x'\n", 2, "platform cannot be said", "leave it out"),
    ("[models.a]\nversion_policy = { latest = 1, all = true }\n", 2, "exclude each other", None),
    ("[models.'a/b']\n", 1, "cannot name a model", None),
    ("[models]\na = 1\n", 2, "it takes a table", None),
    ("[defaults]\nsource = 'x'\n", 2, "a source is a model's own", None),
    ("[defaults]\nrepository = 1\n", 2, "it takes a text", None),
    ("[env.x.models.a]\nmax_batch = 1\n", 2, "env.x.models.a.max_batch: ", "'max_batch_size'?"),
    ("[models.a]\ntolerance.atl = 1\n", 2, "no key 'atl'", "'atol'?"),
    ("[models.a]\nprofiles = [{ s = 'q' }]\n", 2, "profiles.0.s: cannot read", None),
    ("[models.a]\nlabels = { o = 1 }\n", 2, "it takes a text, not 1", "write it in quotes"),
    ("[models.a]\n\ntarget = 24.10\n", 3, "it takes a text, not 24.1", "write it in quotes"),
    ("[defaults]\nrepository = 1\n", 2, "it takes a text, not 1", "write it in quotes"),
    ("[models.a]\nsamples = [7]\n", 2, "it takes a text, not 7", "write it in quotes"),
    ("[models.a]\nmax_batch_size = '4'\n", 2, "not '4'", "write it without quotes"),
    ("[models.a]\ntolerance.atol = '1e-3'\n", 2, "not '1e-3'", "write it without quotes"),
    ("[models.a]\nbake = 'true'\n", 2, "not 'true'", "write it without quotes"),
    ("[models.a]\ninstance_group.count = '2'\n", 2, "not '2'", "write it without quotes"),
    ("[models.a]\nresponse_cache.enable = 'true'\n", 2, "'true'", "write it without quotes"),
    ("target = '24.10'\n", 1, "there is no table 'target'", "write it under [defaults]"),
    ("repository = 'm'\n", 1, "there is no table 'repository'", "write it under [defaults]"),
    ("\nmax_batch_size = 4\n", 2, "there is no table 'max_batch_size'", "under [defaults]"),
    ("source = 'x'\n", 1, "there is no table 'source'", "write it under [models.NAME]"),
    ("[env.p]\ntarget = '24.10'\n", 2, "no table 'target'", "under [env.p.defaults]"),
]


NO_TOML = [
    ("[models.a]\n[models.b]\n\n x = = 1\n", 4, "this is no TOML: Invalid value", "mend the line"),
    ("[models\n", 1, "this is no TOML: ", "mend the line"),
    ("[models.a]\nsamples = [\n", 2, "this is no TOML: ", "mend the line"),
    ("[models.a]\n[models.a]\n", 2, "this is no TOML: ", "mend the line"),
]

SLIPS = [  # which a schema cannot see
    ("[models.mood]\n[env.p.models.mod]\n", 2, "env.p.models.mod: ", "did you mean 'mood'?"),
    ("[models.mood]\n[env.p.models.mod]\nseed = 1\n", 2, "has no model 'mod'", "'mood'?"),
]


@pytest.mark.parametrize(("text", "line", "said", "hint"), WRONG + NO_TOML + SLIPS)
def test_what_is_wrong_is_told_with_its_line(written, tmp_path, text, line, said, hint):
    with pytest.raises(SpecError) as caught:
        written(text)
    assert caught.value.message.startswith(f"{tmp_path}/tritonforge.toml:{line}: ")
    assert said in caught.value.message
    if hint is not None:
        assert hint in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [b"[models\n", b"\xff\xfe", b"a = " + b"[" * 3000, b"a = " + b"9" * 5000, b"a = 1\rb = 2"],
)
def test_what_is_no_toml_is_told(tmp_path, content):
    path = tmp_path / "tritonforge.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"tritonforge\.toml") as caught:
        specfile.find(path)
    assert len(caught.value.message) < len(str(path)) + 200


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path):
    path = tmp_path / "tritonforge.toml"
    for start in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(start + b"[models.a]\r\n# gr\xfcn\r\n")
        with pytest.raises(SpecError) as caught:
            specfile.find(path)
        assert caught.value.message == f"{path}:2: the byte 0xfc is not UTF-8"
        assert caught.value.hint == "save it as UTF-8"


def test_a_byte_order_mark_says_nothing(tmp_path):
    path = tmp_path / "tritonforge.toml"
    path.write_bytes(b"\xef\xbb\xbf[models.a]\r\nseed = 3\r\n")
    found = specfile.effective("a", specfile.find(path))
    assert (found.spec.seed, found.values[0].origin) == (3, f"{path}:2")


def test_a_model_that_an_environment_alone_has_says_its_source_where_its_name_is_near(written):
    file = written(
        "[models.mood]\n[env.p.models.mod]\nsource = 'mod.onnx'\n[env.p.models.resnet50]\n"
    )
    assert file.models("p") == ("mood", "mod", "resnet50")


def test_a_file_that_is_not_there_is_told_if_it_was_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert specfile.find(None) is None
    with pytest.raises(SpecError, match="no file"):
        specfile.find(Path("other.toml"))
    with pytest.raises(SpecError, match="--env prod needs"):
        specfile.effective("resnet50", None, "prod")


def test_an_environment_that_is_not_there_is_told(written):
    with pytest.raises(SpecError, match="no environment 'gpus'") as caught:
        specfile.effective("bert", written(WHOLE), "gpus")
    assert caught.value.hint == "did you mean 'gpu'?"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[models.a]\nmax_cpu_nodes = 0\n", "{}:2: max_cpu_nodes: --max-cpu-nodes counts"),
        ("[models.a]\n\nbake = true\n", "{}:3: bake: --bake writes half floats"),
        ("[defaults]\nbake = true\n[models.a]\n", "{}:2: bake: --bake writes half floats"),
        ("[models.b]\n[env.e.models.a]\nbake = true\n", "{}:3: bake: --bake"),
        (
            "[models.a]\ninputs.x.dtype = 'FP32'\n[env.e.models.a]\ninputs.y.dims = [2]\n",
            "{}:2: inputs.x.dtype: it says dtype and not dims",
        ),
        (
            "[models.a]\ninputs.x={dtype='FP32',dims=[9]}\n[env.e.models.a]\ninputs.x.reshape=[9]",
            "{}:2: inputs.x.dims: beside reshape the dims are those of requests",
        ),
        (
            "[models.a]\ninputs.x.dims = [12]\n[env.e.models.a]\ninputs.y.reshape = [12]\n",
            "{}:2: inputs.x.dims: it says dims and not dtype",
        ),
    ],
)
def test_a_contradiction_of_a_whole_spec_names_the_line_that_it_is_about(
    written, tmp_path, text, said
):
    file = written(text)
    with pytest.raises(SpecError) as caught:
        specfile.effective("a", file, "e" if file.envs else None)
    assert caught.value.message.startswith(said.format(tmp_path / "tritonforge.toml"))


def test_a_contradiction_of_flags_names_the_flag(written):
    flags = Layer(said={"bake": True, "cores": 2**40}, origins={("bake",): "--bake"})
    with pytest.raises(SpecError, match=r"^cores: it takes"):
        specfile.effective("a", written("[models.a]\n"), None, flags)
    flags = Layer(said={"seed": 2**70}, origins={("seed",): "--seed"})
    with pytest.raises(SpecError, match=r"^--seed: a whole number of TOML has 64 bits"):
        specfile.effective("a", written("[models.a]\n"), None, flags)
    flags = Layer(said={"bake": True}, origins={("bake",): "--bake"})
    with pytest.raises(SpecError, match=r"^--bake writes half floats"):
        specfile.effective("a", written("[models.a]\n"), None, flags)
    flags = Layer(said={"cores": 0}, origins={("cores",): "--cores"})
    with pytest.raises(SpecError, match=r"^--cores: it takes a whole number"):
        specfile.effective("a", written("[models.a]\n"), None, flags)


def test_an_error_of_a_build_names_the_line_that_it_is_about(written, tmp_path):
    found = specfile.effective("bert", written(WHOLE))
    line = WHOLE.splitlines().index('ranges = { seq = "1..512", h = 32 }') + 1
    told = found.located(SpecError("none", hint="h", at=("ranges", "seq")))
    assert told.message == f"{tmp_path}/tritonforge.toml:{line}: ranges.seq: none"
    assert (told.hint, told.at) == ("h", ("ranges", "seq"))
    told = found.located(SpecError("--state h0:h1 is none"))
    assert told.message.startswith(f"{tmp_path}/tritonforge.toml:{line - 3}: states.h0: --state")
    assert found.located(SpecError("nobody said it", at=("warm",))).message == "nobody said it"


def test_an_environment_narrows_what_the_file_says_of_an_input(written):
    file = written(
        "[models.a]\ninputs.x = { dtype = 'INT64', dims = ['batch', 'seq'] }\n"
        "[env.p.models.a]\ninputs.x.dims = ['batch', 8]\n"
    )
    flags = Layer(said={"inputs": {"x": {"dtype": "INT32"}}}, origins={})
    spec = specfile.effective("a", file, "p", flags).spec
    assert spec.inputs == (TensorSpec(name="x", dtype=DType.INT32, dims=("batch", 8)),)


def test_where_a_model_has_its_table(written, tmp_path):
    file = written("[models.a]\n[env.e.models.a]\nseed = 1\n[env.e.models.b]\nseed = 1\n")
    assert file.home("a", "e") == f"{tmp_path}/tritonforge.toml:1"
    assert file.home("b", "e") == f"{tmp_path}/tritonforge.toml:4"


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("max_batch_size=8", ("max_batch_size",), 8),
        ("instance_group.kind=KIND_CPU", ("instance_group", "kind"), "KIND_CPU"),
        ("labels.out = a=b.txt", ("labels", "out"), "a=b.txt"),
        ('parameters."a.b"=[1, 2]', ("parameters", "a.b"), [1, 2]),
        ("profiles=[{seq='1..2'}]", ("profiles",), [{"seq": "1..2"}]),
        ("source=", ("source",), ""),
    ],
)
def test_a_setting_is_a_line_of_the_file(text, path, value):
    assert specfile.setting(text) == (path, value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "=3", "a b=3", "[x]=1", "a=1\nb=2", "a=\udcff", "a='\udcff'", "'\udcff'.b=1"),
        *(f"a={'[' * 3000}", f"a={'[' * 3000}{']' * 3000}", f"a={'9' * 5000}", "a=" + "{b=" * 3000),
    ],
)
def test_what_is_no_setting_is_told(text):
    with pytest.raises(SpecError, match=r"cannot (be )?read") as caught:
        specfile.setting(text)
    assert len(caught.value.message) < 200


def test_a_setting_holds_numbers_of_64_bits():
    with pytest.raises(SpecError, match="64 bits"):
        specfile.setting("a=[0xfffffffffffffffff]")


LONG = 10**400


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ({"sequence_batching": {"direct": {"minimum_slot_utilization": LONG}}}, None),
        ({"sequence_batching": {"direct": {"minimum_slot_utilization": 1e300}}}, None),
        ({"instance_group": {"kind": {}}}, ("instance_group", "kind")),
        ({"dynamic_batching": {"priority_queue_policy": {"9" * 5000: {}}}}, None),
    ],
)
def test_values_that_no_field_holds_are_told(said, at):
    with pytest.raises(SpecError, match="it takes") as caught:
        pbtxt.check_wish(said)
    assert len(caught.value.message) < 200
    assert at is None or caught.value.at == at


def test_what_is_read_for_other_backends_is_not_said_and_the_priority_is():
    for path, reader in knobs.unread().items():
        scope, name = path.split(".")
        with pytest.raises(SpecError, match=f"{name} cannot be said: only {reader} reads it"):
            pbtxt.check_wish({scope: {name: True}})
    pbtxt.check_wish({"optimization": {"priority": "PRIORITY_MAX"}})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("stt", "did you mean 'st' of"),
        ("a b", "give a name"),
        ("resnet5", "did you mean 'resnet50'"),
    ],
)
def test_what_is_neither_a_model_nor_a_source_is_told(written, name, hint):
    file = written("[models.st]\nsource = 'x.onnx'\n[env.e.models.other]\nsource = 'x.onnx'\n")
    with pytest.raises(SourceError) as caught:
        specfile.check_source(name, file)
    assert hint in caught.value.hint
    with pytest.raises(SourceError, match="others") as caught:
        specfile.check_source("others", file, "e")
    assert "'other' of" in caught.value.hint
    for known in ("st", "resnet18", "x.py:f", "some.onnx"):
        specfile.check_source(known, file)


# --- the lines of keys ----------------------------------------------------------------------------

BARE = st.from_regex(r"[a-z]{1,3}", fullmatch=True)
NAMES = BARE | st.sampled_from(['"a.b"', '"[q]"', "'#'", '"x = {\\""', "'\\'", '"\x85"'])
STRINGS = [
    '"x # y"',
    "'[z]'",
    '"{\\"["',
    "'\\'",
    '""',
    '"\u2028\x85"',
    '"""a\nb = 2\n"""',
    '"""""q"""""',
    '"""]\\\n  \\""" # {"""',
    "'''\n[x]\n'q'''''",
]
VALUES = st.recursive(
    st.sampled_from(["1", "true", "1.5", "1979-05-27 07:32:00", *STRINGS]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda each: "[\n  " + ", # ]\n# 'c\n".join(each) + "\n]")
        | st.dictionaries(NAMES, inner, max_size=2).map(
            lambda each: "{" + ", ".join(f"{key} = {value}" for key, value in each.items()) + "}"
        )
    ),
    max_leaves=6,
)
KEYS = st.lists(NAMES, min_size=1, max_size=3)
STATEMENTS = st.lists(st.tuples(KEYS, VALUES), max_size=4, unique_by=lambda each: each[0][0])
TABLES = st.lists(st.tuples(KEYS, STATEMENTS), max_size=4, unique_by=lambda each: each[0][0])


def said_of(key):
    """Return what a name of TOML says."""
    (name,) = tomllib.loads(f"{key} = 1")
    return name


@given(
    TABLES,
    st.sampled_from(["", "\n", "# note [x]\n", ' \t\n# \u2028 """\n']),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_each_key_is_found_on_its_line(tables, between, end, arrays):
    text, wanted = "", {}
    for names, statements in tables:
        header = tuple(map(said_of, names)) + ((0,) if arrays else ())
        wanted[header] = text.count("\n") + 1
        text += f"[[{' . '.join(names)}]]\n" if arrays else f"[{'.'.join(names)}] # [\n"
        for keys, value in statements:
            text += between
            wanted[(*header, *map(said_of, keys))] = text.count("\n") + 1
            text += f"  {'.'.join(keys)} = {value}\n"
    text = text.replace("\n", end)
    tomllib.loads(text)
    found = positions(text)
    assert {at: found[at] for at in wanted} == wanted


@given(TABLES)
def test_everything_that_a_text_holds_has_a_line(tables):
    text = "\n".join(
        f"[{'.'.join(names)}]\n" + "\n".join(f"{'.'.join(k)} = {v}" for k, v in statements)
        for names, statements in tables
    )

    def paths(said, at=()):
        items = said.items() if isinstance(said, dict) else enumerate(said)
        for key, each in items:
            yield (*at, key)
            if isinstance(each, dict | list):
                yield from paths(each, (*at, key))

    assert set(positions(text)) == set(paths(tomllib.loads(text)))


def test_entries_of_a_list_of_tables_are_numbered():
    found = positions("[[a]]\nx=1\n[[a.b]]\ny=1\n[[a.b]]\ny=2\n[[a]]\nx=2\n[[a.b]]\ny=3\n")
    assert found[("a", 0, "b", 1, "y")] == 6
    assert found[("a", 1, "x")] == 8
    assert found[("a", 1, "b", 0, "y")] == 10
    found = positions("[[a]]\n[a.c]\nx=1\n[[a]]\n[a.c]\nx=2")
    assert (found[("a", 0, "c", "x")], found[("a", 1, "c", "x")]) == (3, 6)


def test_only_a_newline_ends_a_line():
    assert positions('a = "\u2028\x85\u2029"\nb = 1\n')[("b",)] == 2
    assert positions("# \u2028\r\nb = 1\r\n")[("b",)] == 2


def test_a_long_file_takes_no_time():
    lines = [
        "[models.m]",
        "samples = [",
        *(f'  "s{number}.npz", # [' for number in range(5000)),
        "]",
    ]
    text = "\n".join([*lines, *(f"[models.x{number}]\nseed = {number}" for number in range(2500))])
    began = time.perf_counter()
    found = positions(text)
    assert time.perf_counter() - began < 2
    assert found[("models", "x2499", "seed")] == 5003 + 5000
