"""`tritonforge check` as people and machines read it."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
from click.testing import CliRunner

from tritonforge import rules
from tritonforge.cli import main

CONFIG = """\
name: "other"
backend: "onnxruntime"
max_batch_size: 4
dynamic_batching {
\tpreferred_batch_size: [ 2, 8 ]
}
"""
HOSTILE = "x\x1b[31m,:%\n::error::y"
TOLD = "LAY101,BAT101,SYN101,SIL"  # a folder without a model's file has more wrong with it


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place(tmp_path / "model_repository", "m", CONFIG)
    return tmp_path / "model_repository"


def place(root, name, text):
    (root / name / "1").mkdir(parents=True)
    (root / name / "config.pbtxt").write_bytes(text.encode())


def run(*args):
    return CliRunner().invoke(main, ["check", *map(str, args)], prog_name="tritonforge")


def on_terminal(columns, *args, **environment):
    """Run it on a terminal of so many columns, and return what it shows there."""
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "tritonforge", "check", *args]
    more = {"COLUMNS": str(columns), "TERM": "xterm", **environment}
    process = subprocess.Popen(
        command, stdout=child, stderr=subprocess.DEVNULL, env={**os.environ, **more}
    )
    os.close(child)
    shown = b""
    try:
        while part := os.read(parent, 65536):
            shown += part
    except OSError:  # the other end has gone
        pass
    os.close(parent)
    process.wait(60)
    return shown.decode()


# --- for people ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("repository")
def test_a_table_tells_place_code_sentence_and_line():
    result = run("--select", TOLD)
    assert result.output == (
        "model_repository/m/config.pbtxt:1:1: LAY101 refused [*]: the name is 'other', the"
        " folder's 'm'\n"
        '  1 | name: "other"\n'
        "    | ^^^^\n"
        "model_repository/m/config.pbtxt:5:36: BAT101 refused: the preferred size 8 should be 1 to"
        " max_batch_size, 4\n"
        "  5 |     preferred_batch_size: [ 2, 8 ]\n"
        "    |                                ^\n"
        "\n"
        "1 model for 24.10: 2 refused\n"
        "[*] 1 fixable: see --diff, then --fix\n"
        "tritonforge check --explain LAY101 tells why, and what to do\n"
    )
    assert result.exit_code == 1


def test_an_absolute_repository_elsewhere_is_told_whole(repository, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f"{repository}/m/config.pbtxt:1:1: " in run("-r", repository).output
    assert "\n../model_repository/m/config.pbtxt:5:36: " in run("-r", "../model_repository").output


def test_a_line_of_a_terminal_is_not_exceeded(repository):
    place(repository, "wide", CONFIG.replace("[ 2, 8 ]", f"[ {'2, ' * 200}8{', 4' * 200} ]"))
    place(repository, "日本", CONFIG.replace("[ 2,", "[ # 日本\n 2,"))
    for columns in (80, 120):
        shown = on_terminal(columns, "--select", TOLD)
        lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
        assert max(map(len, lines)) <= columns
        cut = next(line for line in lines if line.startswith("  5 | …"))
        mark = lines[lines.index(cut) + 1]
        assert cut[mark.index("^")] == "8"
    assert "\x1b[31m" in shown


@pytest.mark.usefixtures("repository")
def test_colours_can_be_declined():
    assert "\x1b" not in on_terminal(80, "--select", TOLD, NO_COLOR="1")


@pytest.mark.parametrize("form", ["table", "github"])
def test_names_of_a_hostile_repository_steer_nothing(repository, form):
    name = HOSTILE.replace("/", "")
    place(repository, name, CONFIG.replace("other", 'a\\033[2Jb"#\x1b[2J'))
    result = run("--select", TOLD, "--format", form)
    assert "\x1b" not in result.output
    assert not re.search(r"^::error::y", result.output, re.MULTILINE)


@pytest.mark.usefixtures("repository")
def test_nothing_found_is_told():
    result = run("--select", "ENS")
    assert (result.output, result.exit_code) == ("1 model for 24.10: nothing found\n", 0)


def test_a_string_without_an_end_is_marked_behind_its_line(repository):
    config = repository / "m" / "config.pbtxt"
    config.write_text('name: "m\nbackend: "onnxruntime"\n', "utf-8")
    lines = run("--select", "SYN").output.splitlines()
    assert lines[0].startswith("model_repository/m/config.pbtxt:1:9: SYN101")
    assert lines[1:3] == ['  1 | name: "m', "    |         ^"]


def test_a_field_that_nobody_knows_is_marked_and_not_what_is_behind_it(repository):
    (repository / "m" / "config.pbtxt").write_text(f"{CONFIG}\tdinamic : 3\n", "utf-8")
    lines = run("--select", "FLD").output.splitlines()
    place = f"{len(CONFIG.splitlines()) + 1}:17"  # as the server's log has it
    assert lines[0].startswith(f"model_repository/m/config.pbtxt:{place}: FLD103")
    assert lines[2].split("|")[1] == "     ^^^^^^^"


def test_a_model_may_be_named_with_the_slash_of_its_folder(repository):
    del repository
    assert run("m/").stdout == run("m").stdout != ""
    assert run("./m/").exit_code == 2


def test_of_many_models_the_first_are_listed(repository):
    for number in range(20):
        (repository / f"a{number:02}").mkdir()
    assert "the models are a00, a01, a02, a03, a04, a05, a06, a07, a08, a09 and 11 more\n" in (
        run("quite_another").stderr
    )


# --- exit codes ---------------------------------------------------------------------------------


def test_advice_is_no_error_but_for_the_strict(repository):
    (repository / "m" / "config.pbtxt").write_text(f"{CONFIG}# tritonforge: ignore\n", "utf-8")
    assert run("--select", "SIL").exit_code == 0
    assert run("--select", "SIL", "--strict").exit_code == 1
    assert run("--ignore", "SIL").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mm"], "no model 'mm' in model_repository\nHint: did you mean 'm'?"),
        (["-r", "nowhere"], "no repository nowhere"),
        (["-r", "model_repository/m/1"], "no models in model_repository/m/1"),
        (
            ["-r", "model_repository/m"],
            "no repository\nHint: name the folder above it, and the model: -r model_repository m",
        ),
        (["--select", "BAT1O1"], "no rule 'BAT1O1' (did you mean 'BAT101'?)"),
        (["--ignore", "BAT,BTA"], "no rule 'BTA' (did you mean 'BAT'?)"),
        (["--select", ","], "it names no rule"),
        (["--explain", "bat1o1"], "no rule 'bat1o1'\nHint: did you mean 'BAT101'?"),
        (["--explain", "BAT101", "--format", "sarif"], "formats table and json"),
        (["--diff", "--format", "json"], "no other --format"),
        (["--fix", "-r", "nowhere"], "no repository nowhere"),
    ],
)
def test_wrong_use_is_told_with_what_is_near(repository, arguments, said):
    result = run(*arguments)
    assert said in result.output
    assert result.exit_code == 2
    assert not (repository.parent / "nowhere").exists()


@pytest.mark.usefixtures("repository")
def test_codes_are_chosen_by_how_they_begin():
    found = json.loads(run("--select", "bat,LAY1", "--ignore", "LAY", "--format", "json").output)
    codes = {each["code"] for each in found["findings"]}
    assert "BAT101" in codes
    assert all(code.startswith("BAT") for code in codes)


def test_a_second_target_is_refused():
    result = run("--target", "24.10", "--target", "26.06")
    assert result.exit_code == 2
    assert "it names one release: check once for each" in result.output


# --- rules explained ----------------------------------------------------------------------------


def test_rules_and_families_are_explained_between_commas():
    told = json.loads(run("--explain", "lbl, BAT101,BAT1", "--format", "json").output)["rules"]
    codes = [each["code"] for each in told]
    assert codes == sorted(set(codes))
    assert {each[:3] for each in codes} == {"BAT", "LBL"}


def test_a_rule_is_explained_without_a_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tritonforge.toml").write_text("broken [", "utf-8")
    result = run("--explain", "bat101")
    rule = rules.find("BAT101")
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    for part in (rule.title, rule.reason, f"Remedy: {rule.remedy}", f"Source: {rule.source}"):
        assert part in text
    assert max(map(len, result.output.splitlines())) <= 88


def test_rules_are_listed_whole_and_by_family():
    every = run("--explain", "all").output
    assert all(rule.code in every for rule in rules.RULES)
    family = json.loads(run("--explain", "SIL", "--format", "json").output)["rules"]
    assert [each["code"] for each in family] == ["SIL301", "SIL302", "SIL303"]
    assert all(each[key] for each in family for key in ("severity", "title", "reason", "remedy"))


# --- for machines -------------------------------------------------------------------------------


@pytest.mark.usefixtures("repository")
def test_json_holds_the_same():
    document = json.loads(run("--select", TOLD, "--format", "json").output)
    assert (document["passed"], document["models"]) == (False, ["m"])
    assert document["targets"] == {"m": "24.10"}
    assert document["counts"]["refused"] == 2
    assert document["counts"]["fixable"] == 1
    assert document["findings"][0] == {
        "code": "LAY101",
        "severity": "refused",
        "model": "m",
        "file": "m/config.pbtxt",
        "line": 1,
        "column": 1,
        "at": "name",
        "message": "the name is 'other', the folder's 'm'",
        "remedy": rules.find("LAY101").remedy,
        "changes": [{"path": "name", "value": '"m"'}],
    }


def test_github_reads_back_what_was_meant(repository):
    name = "a,b:c%d\ne"
    place(repository, name, CONFIG)
    lines = run(name, "--select", "LAY101", "--format", "github").output.splitlines()
    (command,) = lines
    properties, message = re.fullmatch(r"::error ([^:]*)::(.*)", command).groups()
    read = dict(each.split("=") for each in properties.split(","))
    path = unquote(read["file"])  # the same escapes, of fewer signs
    assert path == f"model_repository/{name}/config.pbtxt"
    assert (read["line"], read["col"], read["title"]) == ("1", "1", "LAY101 refused")
    assert unquote(message).startswith("the name is 'other', the folder's ")


_TEXT = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
_FILE = {
    "type": "object",
    "required": ["uri"],
    "properties": {
        "uri": {"type": "string", "pattern": r"^([A-Za-z0-9._~/-]|%[0-9A-F]{2})+$"},
        "uriBaseId": {"const": "%SRCROOT%"},
    },
    "additionalProperties": False,
}
_NUMBER = {"type": "integer", "minimum": 1}
_REGION = {
    "type": "object",
    "required": ["startLine"],
    "properties": dict.fromkeys(("startLine", "startColumn", "endLine", "endColumn"), _NUMBER),
    "additionalProperties": False,
}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}


def _object(required, **more):
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **more},
        "additionalProperties": False,
    }


def _list(of):
    return {"type": "array", "items": of}


# What the standard says of the parts that are written (OASIS SARIF 2.1.0, section 3).
_RULE = _object(
    {"id": {"type": "string"}, "shortDescription": _TEXT, "fullDescription": _TEXT, "help": _TEXT},
    defaultConfiguration=_object({"level": _LEVEL}),
    properties={"type": "object"},
)
_REPLACED = _object({"deletedRegion": _REGION}, insertedContent=_object({"text": {}}))
_RESULT = _object(
    {"message": _TEXT},
    ruleId={"type": "string"},
    ruleIndex={"type": "integer", "minimum": 0},
    level=_LEVEL,
    locations=_list(
        _object(
            {"physicalLocation": _object({"artifactLocation": _FILE}, region=_REGION)},
            logicalLocations=_list({"type": "object"}),
        )
    ),
    fixes=_list(
        _object(
            {
                "artifactChanges": _list(
                    _object({"artifactLocation": _FILE, "replacements": _list(_REPLACED)})
                )
            },
            description=_TEXT,
        )
    ),
)
_SARIF = _object(
    {
        "version": {"const": "2.1.0"},
        "runs": _list(
            _object(
                {
                    "tool": _object(
                        {
                            "driver": _object(
                                {"name": {"type": "string"}},
                                version={"type": "string"},
                                semanticVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
                                rules=_list(_RULE),
                            )
                        }
                    )
                },
                results=_list(_RESULT),
                columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                invocations=_list(_object({"executionSuccessful": {"type": "boolean"}})),
                originalUriBaseIds={"type": "object", "additionalProperties": {"type": "object"}},
            )
        ),
    },
    **{"$schema": {"type": "string", "format": "uri"}},
)


def sarif(*args):
    document = json.loads(run("--select", TOLD, "--format", "sarif", *args).output)
    jsonschema.validate(document, _SARIF)
    return document["runs"][0]


def test_sarif_is_as_the_standard_says(repository):
    place(repository, "日 %:#?", CONFIG)
    place(repository, "a..b\udcff", CONFIG)
    place(repository, "broken", CONFIG + "# tritonforge: ignore\nnonsense: [")
    found = sarif()
    known = found["tool"]["driver"]["rules"]
    assert [each["id"] for each in known] == sorted(rule.code for rule in rules.RULES)
    for each in found["results"]:
        assert known[each["ruleIndex"]]["id"] == each["ruleId"]
        assert known[each["ruleIndex"]]["defaultConfiguration"]["level"] == each["level"]
        base = found["originalUriBaseIds"]["%SRCROOT%"]["uri"]
        uri = each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert base.endswith("/")
        assert Path(unquote(urlsplit(base + uri).path, errors="surrogateescape")).is_file()
    assert {each["level"] for each in found["results"]} == {"error", "note"}


@pytest.mark.usefixtures("repository")
def test_sarif_of_a_repository_elsewhere_has_paths_within_it(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = sarif("-r", "../model_repository")
    place = found["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "m/config.pbtxt"
    assert place["region"] == {"startLine": 1, "startColumn": 1}


@pytest.mark.usefixtures("repository")
def test_the_fix_of_a_sarif_result_is_that_of_fix():
    result = next(each for each in sarif()["results"] if each["ruleId"] == "LAY101")
    (change,) = result["fixes"][0]["artifactChanges"]
    (replaced,) = change["replacements"]
    region, lines = replaced["deletedRegion"], CONFIG.split("\n")
    assert region["startLine"] == region["endLine"] == 1
    before, after = lines[0][: region["startColumn"] - 1], lines[0][region["endColumn"] - 1 :]
    assert before + replaced["insertedContent"]["text"] + after == 'name: "m"'


# --- fixes --------------------------------------------------------------------------------------


def test_fix_tells_what_it_mended_and_what_is_left(repository):
    result = run("--select", TOLD, "--fix")
    place = "model_repository/m/config.pbtxt"
    said = "the name is 'other', the folder's 'm' (name: \"other\" → \"m\")"
    assert f"fixed {place}:1:1: LAY101: {said}\n" in result.output
    assert f"\n{place}:5:36: BAT101 refused: " in result.output
    assert "1 model for 24.10: 1 refused; 1 fixed\n" in result.output
    assert result.exit_code == 1
    assert (repository / "m/config.pbtxt").read_text("utf-8") == CONFIG.replace("other", "m")


def test_fix_tells_what_it_wrote_anew_and_what_it_took_out(repository):
    wrong = 'parameters { key: "intra_op_threadcount" value { string_value: "4" } }'
    config = repository / "m" / "config.pbtxt"
    config.write_text(f'name: "{"a" * 80}"\nbackend: "onnxruntime"\n{wrong}', "utf-8")
    output = run("--select", "PRM201,LAY101", "--fix").output
    assert f'(name: "{"a" * 59}… → "m")\n' in output
    assert '(parameters.intra_op_thread_count: nothing → "4", ' in output
    assert 'parameters.intra_op_threadcount: "4" → nothing)\n' in output


def test_a_diff_is_one_that_patch_takes_and_writes_nothing(repository):
    result = run("--select", TOLD, "--diff", "--fix")
    assert (repository / "m/config.pbtxt").read_text("utf-8") == CONFIG
    assert [each.name for each in repository.iterdir()] == ["m"]
    assert "1 finding would be fixed" in result.stderr
    subprocess.run(["patch", "-p0"], input=result.stdout, text=True, check=True)  # noqa: S607
    assert (repository / "m/config.pbtxt").read_text("utf-8") == CONFIG.replace("other", "m")


@pytest.mark.usefixtures("repository")
def test_json_of_a_fix_holds_what_was_mended():
    document = json.loads(run("--select", TOLD, "--fix", "--format", "json").output)
    assert [each["code"] for each in document["fixed"]] == ["LAY101"]
    assert [each["code"] for each in document["findings"]] == ["BAT101"]
    assert document["not_fixed"] == []
