"""What of a text the real server does not read, and where its log tells it."""

import http.client
import re
import shutil
import time

import mutating
import pytest

from tritonforge import server
from tritonforge.check import check
from tritonforge.pbtxt import strict
from tritonforge.release import EMBEDDED, find
from tritonforge.repository import Repository

SEED, COUNT = 7, 800
BATCHES, SHARE = b"max_batch_size: ", b"sequence_batching { control_input { control { "
WHOLE = (
    b"4 0x10 0X10 010 08 00 -0 - +4 --4 4f 4x 1_000 0b1 0x 1e 1e3 1.0 1.2.3 .5 5. true [4] {} []"
)
EDGES = b"2147483647 2147483648 -2147483648 -2147483649 99999999999999999999999999 1;; 07.5 0x1."
REAL = b"1 1f 1.5F 1e400 .5 5. 010 0x1 08 00 0f 1e 1e+ inf -inf Infinity nan inff - abc 1.5. 1..5"
TRUTHS = b"true True TRUE t f false 1 0 2 0x1 01 08 1.0 -1 yes { } [1]"
TYPES = b"TYPE_FP32 type_fp32 FP32 11 99 -1 0x1 2147483648 1.0 - -TYPE_FP32 [1] TYPE_FP33\n\n"
STRINGS = rb'''"a" 'b' "a""b" "\q" "\x" "\x4" "\X41" "\u12" "\u1234" "\U0010FFFF" "\U00200000"
"\U001" "\ud800" "\777" "\?" "\8" "\xff" x 3 {} ["x"] - "a' """ r"x" 'x'y'''
BY_HAND = (
    *(BATCHES + each for each in (*WHOLE.split(), *EDGES.split(), b"- 4", b"-\n#c\n4", b"")),
    *(SHARE + b"fp32_false_true: %s } } }" % each for each in REAL.split()),
    *(b"input { optional: %s }" % each for each in TRUTHS.split()),
    *(b"input { data_type: %s }" % each for each in TYPES.split(b" ")),
    *(b"name: " + each for each in STRINGS.split()),
    *(
        b"input { dims: [%s] }" % each
        for each in (b"", b"1,", b",1", b"1 2", b"1;2", b"[1]", b"1}")
    ),
    *(
        b"input%s" % each
        for each in (b": [ ]", b" [ ]", b":: {}", b" <>", b" { >", b": 1", b" [{}")
    ),
    *b"|#|{|}|{}|3: 4|name|name:|,|;|foo|foo: 3|foo\t:3|@|\0|\x7f".split(b"|"),
    *b"[a.b]: 3|[a]|[a/b] {}|[]: 3".split(b"|"),
    *(b'name: "%s"' % each for each in (b"\n", b"\\\n", b"\r", b"\0", b"\xff", "é".encode(), b"a")),
    *(
        b'name: "a"%sfoo: 1' % each
        for each in (b"\t", b" \t", b"\r\n", b"\f", b"\x0b", b"\xa0", b"\1")
    ),
    *(b"#%sfoo: 1" % each for each in (b"\xff\n", b"\0", b"\r", b"\n\t")),
    b'\xef\xbb\xbfname: "x"',
    b"max_batch_size: 0 max_batch_size: 4",
    b"max_batch_size: 4 max_batch_size: 0",
    b'name: "" name: "x"',
    b"dynamic_batching { } sequence_batching { }",
    b"dynamic_batching { } dynamic_batching { }",
    b"version_policy { all { } latest { } }",
    b'parameters { key: "a" key: "b" }',
    b'parameters { key: "" key: "b" }',
    b'parameters { key: "a" } parameters { key: "a" }',
    b'parameters { key: "a" value: "b" }',
    b"dynamic_batching { max_queue_delay_microseconds: -1 }",
    b"model_warmup { inputs { value { zero_data: false random_data: true } } }",
    b"foo#c\n: 3",
    b"max_batch_size1.2.3 :",
    b".5max_batch_size: 3",
    b'max_batch_size:1name:"x"',
    b"foo {" * 2000 + b"}" * 2000,
)
_TOLD = re.compile(r"Error parsing text-format inference\.ModelConfig: (\d+):(\d+): ")
_POLLED = re.compile(r"Poll failed for model directory '(m\d+)': (.*)")


@pytest.fixture(scope="module")
def judged(embedded, tmp_path_factory):
    """Return each text, what the server's log tells first of it, None where it reads it."""
    texts = [*BY_HAND, *mutating.texts(SEED, COUNT)]
    repository, lines = tmp_path_factory.mktemp("judged"), []
    explicit = ("--model-control-mode=explicit",)
    with server.serving(repository, embedded, arguments=explicit, show=lines.append) as endpoint:
        connection = http.client.HTTPConnection(endpoint.http.removeprefix("http://"))
        # The last is not read, so that the log is known to be whole when it tells that.
        for number, text in enumerate([*texts, b"}"]):
            _load(connection, repository / f"m{number}", text)
        connection.close()
        while not any(f"'m{len(texts)}'" in line for line in lines[-20:]):
            time.sleep(0.05)
    places = _places(lines)
    return [(text, places.get(f"m{number}")) for number, text in enumerate(texts)]


def _load(connection, folder, text):
    """Ask for a model that has a config and no version."""
    folder.mkdir()
    (folder / "config.pbtxt").write_bytes(text)
    connection.request("POST", f"/v2/repository/models/{folder.name}/load", body=b"")
    connection.getresponse().read()
    shutil.rmtree(folder)


def _places(lines):
    """Return line and column of the first that the log tells of each text that is not read."""
    found, waiting = {}, []
    for line in lines:
        if told := _TOLD.search(line):
            waiting.append((int(told[1]), int(told[2])))
        elif polled := _POLLED.search(line):
            if "failed to read text proto" in polled[2]:
                found[polled[1]] = waiting[0]
            waiting = []
    return found


def _first(text):
    """Return the first flaw for which the server would not read a text."""
    flaws = strict.read(text, "2.51.0").flaws
    return next((each for each in flaws if not each.is_taken), None)


def test_the_same_texts_are_refused(judged):
    differ = [(text, told) for text, told in judged if (_first(text) is None) != (told is None)]
    assert not differ
    refused = sum(told is not None for _, told in judged)
    assert 0.1 * len(judged) < refused < 0.95 * len(judged)


def test_a_flaw_knows_where_the_server_tells_it(judged):
    refused = [(text, told) for text, told in judged if told is not None]
    differ = [(text, told) for text, told in refused if _first(text).told != told]
    assert len(differ) <= 0.005 * len(refused), differ


def test_check_refuses_the_same_and_points_where_the_server_does(judged, tmp_path):
    """But for places on another line than what is at fault."""
    for number, (text, _) in enumerate(judged):
        folder = tmp_path / f"m{number}"
        (folder / "1").mkdir(parents=True)
        (folder / "config.pbtxt").write_bytes(text)
    report = check(Repository(tmp_path), target=find(EMBEDDED))
    places = {}
    for each in report.findings:
        if each.rule.severity == "refused" and each.rule.code.startswith(("SYN", "FLD103")):
            places.setdefault(each.model, (each.line, each.column))
    refused = {f"m{number}": told for number, (_, told) in enumerate(judged) if told is not None}
    assert places.keys() == refused.keys()
    right = sum(places[name] == told for name, told in refused.items())
    assert right >= 0.95 * len(refused)
