"""Rules of the files of data that a config names."""

import pytest
import rulecases
import tiny
from test_rules_alone import HOLD, begun
from test_rules_config import warm, whole

FILE = 'input_data_file: "rows"'
TEXTS = whole(warm(dtype="STRING", data=FILE), inputs="x STRING 4")


@pytest.mark.parametrize(
    ("text", "folder", "size", "codes"),
    [
        (whole(warm(data=FILE)), "warmup", None, ["WRM121"]),
        (whole(warm(data=FILE)), "other", 16, ["WRM121"]),
        (whole(warm(data=FILE)), "warmup", 15, ["WRM122"]),
        (whole(warm(data=FILE)), "warmup", 16, []),
        (whole(warm(data=FILE)), "warmup", 99, []),
        (whole(warm(data=FILE.replace("rows", "/rows"))), "warmup", 16, []),
        (whole(warm(data=FILE, batch=0)), "warmup", None, ["WRM201"]),
        (TEXTS, "warmup", 1, []),
        (begun('data_file: "rows"'), "initial_state", None, ["SEQ121"]),
        (begun('data_file: "rows"'), "initial_state", 15, ["SEQ122"]),
        (begun('data_file: "rows"'), "initial_state", 16, []),
    ],
)
def test_a_file_is_there_and_long_enough(tmp_path, text, folder, size, codes):
    held = HOLD if "state" in text else tiny.DOUBLE
    model = tiny.place(tmp_path, "m", text, *held)
    if size is not None:
        (model / folder).mkdir()
        (model / folder / "rows").write_bytes(bytes(size))
    report = rulecases.checked(tmp_path)
    found = [each for each in report.findings if each.rule.code[:3] in {"WRM", "SEQ"}]
    assert [each.rule.code for each in found] == codes
    assert all(each.line > 1 for each in found)
