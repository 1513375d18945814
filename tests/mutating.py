"""Texts of configs with a few small faults, as fingers and editors make them, by a seed."""

import random
import re
from pathlib import Path

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*/24.10.pbtxt"))

RICH = b"""\
name: "rich"
platform: "onnxruntime_onnx"
max_batch_size: 8
input [
  {
    name: "ids"   # of tokens
    data_type: TYPE_INT64
    dims: [ -1, 4 ]
    reshape { shape: [ -1, 2, 2 ] }
    allow_ragged_batch: true
  },
  { name: "mask", data_type: TYPE_INT64, dims: [ -1 ], optional: true }
]
output { name: "y" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "labels.txt" }
version_policy: { specific { versions: [ 1, 3 ] } }
instance_group [ { count: 2 kind: KIND_GPU gpus: [ 0, 1 ]
  rate_limiter { resources [ { name: "R1" count: 4 global: True } ] priority: 2 } } ]
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 100
  default_queue_policy { timeout_action: DELAY max_queue_size: 10 }
  priority_queue_policy { key: 1 value { max_queue_size: 3 } }
}
parameters { key: "a" value { string_value: "b" } }
optimization { graph { level: 1 } execution_accelerators {
  gpu_execution_accelerator : [ { name : "tensorrt"
    parameters { key: "precision_mode" value: "FP16" } } ] } }
model_warmup [ { name: "w" batch_size: 1 inputs {
  key: "ids" value { data_type: TYPE_INT64 dims: [ 1, 4 ] zero_data: true } } } ]
response_cache { enable: true }
"""

SEQUENCES = """\
backend: 'python'
max_batch_size: 4,
sequence_batching <
\tmax_sequence_idle_microseconds: 5000000;
\tdirect { max_queue_delay_microseconds: 0x10 minimum_slot_utilization: 0.5 }
\tcontrol_input [ { name: "START" control [ {
\t\tkind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1.0, -inf ] } ] },
\t\t{ name: "CORRÉ" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } } ]
\tstate { input_name: "s" output_name: "t" data_type: TYPE_FP32 dims: -1 }
>
metric_tags { key: "a" value: "b\\n\\x41\\101" "more" }
""".encode()

ENSEMBLE = b"""\
name: "both"
platform: "ensemble"
input [ { name: "IN" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
ensemble_scheduling {
  step [
    { model_name: "a" model_version: -1 input_map { key: "x" value: "IN" }
      output_map { key: "y" value: "t" } },
    { model_name: "b" model_version: -1 input_map { key: "x" value: "t" }
      output_map { key: "y" value: "OUT" } }
  ]
}
""".replace(b"\n", b"\r\n")

_TOKEN = re.compile(
    rb'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[A-Za-z_]\w*|[0-9.]+|\s+|#[^\n]*|.', re.DOTALL
)
_NAME = re.compile(rb"[A-Za-z_]\w{2,}")
_ODD = (b"1f", b"# c\n", b"max_batch_size: 2\n", b"instance_group { }", "é".encode(), b"\xff")
_POOL = (
    *(bytes([each]) for each in b"{}<>[]:,;-\"'\n\t \\\0\7\r./=("),
    *b"name dims kind key value count input latest all oldest zero_data data_type foo".split(),
    *b"TYPE_FP32 KIND_CPU FP32 true yes inf nan 1 -1 0 4.5 1e3 0x1F 099 9 99999999999".split(),
    *b'"x" [a.b] parameters string_value optional max_batch_size 99999999999999999999999'.split(),
    *_ODD,
)


def texts(seed: int, count: int) -> list[bytes]:
    """Make texts of sound ones, each with one to three faults or, by chance, none."""
    chance = random.Random(seed)  # noqa: S311 - of tests
    sound = [RICH, SEQUENCES, ENSEMBLE, *(each.read_bytes() for each in GOLDEN)]
    return [_faulty(chance, chance.choice(sound)) for _ in range(count)]


def _faulty(chance: random.Random, text: bytes) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 1, 2, 3))):
        text = chance.choice((_token, _token, _token, _byte, _line, _end, _name, _name))(
            chance, text
        )
    return text


def _token(chance: random.Random, text: bytes) -> bytes:
    """Take a word out, add one, double one, change one for another or two with each other."""
    words = _TOKEN.findall(text) or [b""]
    at, other = (chance.choice([*range(len(words))]) for _ in range(2))
    how = chance.randrange(5)
    if how == 0:
        words[at] = b""
    elif how == 1:
        words[at] = chance.choice(_POOL)
    elif how == 2:
        words[at] += chance.choice((b"", b" ", b"\n")) + words[at]
    elif how == 3:
        words[at], words[other] = words[other], words[at]
    else:
        words.insert(at, chance.choice(_POOL) + chance.choice((b"", b" ")))
    return b"".join(words)


def _byte(chance: random.Random, text: bytes) -> bytes:
    """Take a byte out, double one or add any."""
    at = chance.randrange(len(text) + 1)
    middle = chance.choice((b"", text[at : at + 1] * 2, bytes([chance.randrange(256)])))
    return text[:at] + middle + text[at + 1 :]


def _line(chance: random.Random, text: bytes) -> bytes:
    """Take a line out, or have one twice."""
    lines = text.split(b"\n")
    taken = lines.pop(chance.randrange(len(lines)))
    for _ in range(chance.choice((0, 2))):
        lines.insert(chance.randrange(len(lines) + 1), taken)
    return b"\n".join(lines)


def _end(chance: random.Random, text: bytes) -> bytes:
    return text[: chance.randrange(len(text) + 1)]


def _name(chance: random.Random, text: bytes) -> bytes:
    """Misspell a name."""
    names = [*_NAME.finditer(text)]
    if not names:
        return text
    found = chance.choice(names)
    word, at = found[0], chance.randrange(len(found[0]))
    wrong = chance.choice(
        (word[:at] + word[at + 1 :], word[:at] + b"x" + word[at:], word.swapcase(), word + b"s")
    )
    return text[: found.start()] + wrong + text[found.end() :]
