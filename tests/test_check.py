"""What a check finds of a repository, where, what silences it and what mends it."""

import resource
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from tritonforge import pbtxt, release
from tritonforge.check import MOST, Finding, check, fixing, reading, silencing
from tritonforge.check.clashing import clash, in_order
from tritonforge.check.known import Known
from tritonforge.errors import RepositoryError
from tritonforge.pbtxt.editing import tree
from tritonforge.repository import Repository
from tritonforge.rules import Change, Found, Rule

CONFIG = """\
name: "other"
backend: "onnxruntime"
max_batch_size: 4
dynamic_batching {
  preferred_batch_size: [ 2, 8 ]
}
"""


@pytest.fixture
def repository(tmp_path):
    place(tmp_path, "m", CONFIG)
    return Repository(tmp_path)


def place(root, name, text):
    (root / name / "1").mkdir(parents=True)
    (root / name / "config.pbtxt").write_bytes(text.encode())


def rewrite(repository, text, model="m"):
    (repository.path / model / "config.pbtxt").write_bytes(text.encode())


def codes(findings):
    """Name what was found in configs; the folders hold no files of models."""
    return [each.rule.code for each in findings if each.rule.code in {"LAY101", "BAT101"}]


def comments(report):
    return [(each.rule.code, each.line) for each in report.findings if each.rule.code[:3] == "SIL"]


def test_findings_bear_code_file_line_column_and_the_line(repository):
    found = {each.rule.code: each for each in check(repository).findings}
    assert (found["LAY101"].line, found["LAY101"].column) == (1, 1)
    assert (found["BAT101"].line, found["BAT101"].column) == (5, 30)
    assert str(found["BAT101"].file) == "m/config.pbtxt"
    assert found["BAT101"].written == "  preferred_batch_size: [ 2, 8 ]"


def test_a_newer_field_is_told_where_the_servers_log_tells_it(repository):
    rewrite(repository, 'backend: "onnxruntime"\nmodel_metrics { }\n')
    findings = check(repository, target=release.find("24.10")).findings
    assert [(f.line, f.column) for f in findings if f.rule.code == "FLD101"] == [(2, 15)]
    assert [f.character for f in findings if f.rule.code == "FLD101"] == [1]


def test_columns_are_those_of_the_servers_log(repository):
    rewrite(repository, 'backend: "日本" name: "other" \t# tritonforge: ignore\n')
    found = {each.rule.code: each for each in check(repository).findings}
    assert found["LAY101"].column == len('backend: "日本" '.encode()) + 1
    assert found["LAY101"].character == len('backend: "日本" ') + 1
    assert found["SIL303"].character == len('backend: "日本" name: "other" \t') + 1


def test_a_repository_or_model_that_is_not_there_is_an_error(repository, tmp_path):
    for path, models in (
        (tmp_path / "none", ()),
        (tmp_path / "m" / "1", ()),
        (repository.path, ("mm",)),
    ):
        with pytest.raises(RepositoryError):
            check(Repository(path), models=models)


def test_a_folder_that_no_model_can_be_called_by_keeps_none_from_being_checked(repository):
    place(repository.path, "a..b", CONFIG)
    place(repository.path, "x\udcff", CONFIG)
    assert codes(check(repository).findings) == ["LAY101", "BAT101"] * 3
    assert {each.finding.model for each in fixed(repository)[0].left} == {"a..b", "x\udcff"}


ROWS = """\
backend: "onnxruntime"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: 4 }
output { name: "y" data_type: TYPE_FP32 dims: 4 }
"""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f'{ROWS}input {{ name: "x" data_type: TYPE_FP32 dims: 4 }}', "TEN112"),
        (ROWS.replace("TYPE_FP32 dims: 4 }\no", "TYPE_FP32 }\no"), "TEN103"),
        (ROWS.replace("dims: 4 }\no", "dims: 4 optional: true }\no"), "TEN110"),
        (ROWS.replace("size: 8", "size: -1"), "GEN101"),
        (ROWS.replace('name: "x" data_type: TYPE_FP32', "data_type: TYPE_INT8"), "TEN101"),
    ],
)
def test_what_the_config_tells_by_itself_is_not_told_of_the_file_too(tmp_path, text, code):
    folder = tiny.double(tmp_path, "m")
    (folder / "config.pbtxt").write_text(f"{text}\ndynamic_batching {{ }}\n")
    assert [each.rule.code for each in check(Repository(tmp_path)).findings] == [code]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (ROWS.replace("dims: 4 }\no", "dims: 0 }\no"), "FIT107"),
        (ROWS.replace('name: "x" ', ""), "FIT101"),
    ],
)
def test_what_the_file_mends_is_told_of_it_alone(tmp_path, text, code):
    folder = tiny.double(tmp_path, "m")
    (folder / "config.pbtxt").write_text(f"{text}\ndynamic_batching {{ }}\n")
    repository = Repository(tmp_path)
    assert [each.rule.code for each in check(repository).findings] == [code]
    planned, after = fixing.fix(repository, lambda: check(repository))
    assert (planned.left, after.findings) == ((), ())


def test_what_is_silenced_or_left_out_hides_nothing_else(tmp_path):
    folder = tiny.double(tmp_path, "m")
    text = ROWS.replace("dims: 4 }\no", "dims: 0 } # tritonforge: ignore FIT107\no")
    (folder / "config.pbtxt").write_text(f"{text}\ndynamic_batching {{ }}\n")
    repository = Repository(tmp_path)
    assert [each.rule.code for each in check(repository).findings] == ["TEN104"]
    (folder / "config.pbtxt").write_text(text.partition("#")[0] + text.partition("FIT107")[2])
    (found,) = check(repository, codes={"TEN104"}).findings
    assert found.rule.code == "TEN104"


def test_a_name_that_no_file_can_have_is_that_of_none(tmp_path):
    folder = tiny.double(tmp_path, "m")
    with (folder / "config.pbtxt").open("a") as file:
        file.write(f'default_model_filename: "{"a" * 300}"\n')
    tiny.double(tmp_path, "n")
    assert [each.rule.code for each in check(Repository(tmp_path)).findings] == ["LAY108"]


def test_codes_choose_what_is_told(repository):
    assert codes(check(repository, codes={"BAT101"}).findings) == ["BAT101"]
    assert codes(check(repository, codes=()).findings) == []


def test_of_a_rule_in_a_model_so_many_are_told_and_no_more(repository):
    rewrite(repository, CONFIG.replace("8 ]", f"{'8, ' * 2_000}9 ]"))
    report = check(repository)
    assert codes(report.findings).count("BAT101") == MOST
    assert report.full(MOST) == ("BAT101",)
    assert check(repository, codes={"LAY101"}).full(MOST) == ()


# --- comments that silence ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[ 2, 8 ]", "[ 2, 8 ]  # tritonforge: ignore BAT101"),
        ("[ 2, 8 ]", "[ 2, 8 ]  # tritonforge: ignore bat -- the client pads"),
        ("[ 2, 8 ]", "[ 2, 8 ]  # tritonforge ignore BAT101"),
        ("  preferred", "  # tritonforge: ignore LAY101, BAT\n  # or not\n\n  preferred"),
        ("name:", "# of ours\n# tritonforge: ignore-file BAT101\nname:"),
    ],
)
def test_a_comment_silences_its_line_the_next_one_or_the_file(repository, before, after):
    rewrite(repository, CONFIG.replace(before, after))
    report = check(repository)
    assert codes(report.findings) == ["LAY101"]
    assert codes(report.silenced) == ["BAT101"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("dynamic_batching {", "dynamic_batching {  # tritonforge: ignore BAT101"),
        ("dynamic_batching {", "# tritonforge: ignore-file BAT101\ndynamic_batching {"),
        ('"other"', '"other # tritonforge: ignore LAY101"'),
        ("[ 2, 8 ]", "[ 2, 8 ]  # not tritonforge: ignore BAT101"),
        ("[ 2, 8 ]", "[ 2, 8 ]  # tritonforge: ignore-line BAT101"),
    ],
)
def test_a_comment_elsewhere_silences_nothing(repository, before, after):
    rewrite(repository, CONFIG.replace(before, after))
    report = check(repository)
    assert codes(report.findings) == ["LAY101", "BAT101"]
    assert not report.silenced


def test_a_comment_in_a_text_that_cannot_be_read_counts(repository):
    rewrite(repository, "# tritonforge: ignore-file SYN\n" + CONFIG + "nonsense: [\n")
    report = check(repository)
    assert not [each for each in report.findings if each.rule.code[:3] == "SYN"]
    assert report.silenced


@pytest.mark.parametrize(
    ("comment", "found"),
    [
        ("ignore BAT101, XYZ", "SIL302"),
        ("ignore BTA101", "SIL302"),
        ("ignore", "SIL303"),
        ("ingore BAT101", "SIL303"),
        ("ignore BAT101", None),
        ("ignore LAY101", "SIL301"),
        ("ignore BAT101, LAY101", "SIL301"),
    ],
)
def test_comments_that_silence_nothing_are_told(repository, comment, found):
    text = CONFIG.replace("[ 2, 8 ]", f"[ 2, 8 ]  # tritonforge: {comment}")
    rewrite(repository, text)
    assert comments(check(repository)) == ([(found, 5)] if found else [])


@pytest.mark.parametrize(
    ("comment", "written"),
    [
        ("ignore[FIT107]", "ignore FIT107"),
        ("ignore[FIT107, bat101] as it was", "ignore FIT107 BAT101"),
        ("Ignore-File(FIT107)", "ignore-file FIT107"),
    ],
)
def test_a_comment_with_brackets_is_told_how_it_is_written(repository, comment, written):
    rewrite(repository, CONFIG.replace("[ 2, 8 ]", f"[ 2, 8 ]  # tritonforge: {comment}"))
    said = [each.sentence for each in check(repository).findings if each.rule.code == "SIL303"]
    assert [each.partition(": ")[2] for each in said] == [f"write {written}, without brackets"]


def test_what_a_comment_says_of_comments_is_silenced_too(repository):
    rewrite(repository, f"# tritonforge: ignore-file SIL\n{CONFIG}# tritonforge: ignore SEQ999\n")
    report = check(repository)
    assert comments(report) == []
    assert [each.rule.code for each in report.silenced] == ["SIL302"]


def test_comments_without_number_cost_little(repository):
    names = ", ".join(f"Q{number}" for number in range(20_000))
    lines = "# tritonforge: ignore-file BAT, LAY\n" * 500
    rewrite(repository, f"{lines}{CONFIG}# tritonforge: ignore {names}\n" + '# "\n' * 50_000)
    began = time.monotonic()
    report = check(repository)
    assert time.monotonic() - began < 10
    assert codes(report.findings) == []


def test_what_is_not_chosen_is_silenced_all_the_same(repository):
    rewrite(repository, CONFIG.replace("8 ]", "8 ]  # tritonforge: ignore BAT101"))
    assert not check(repository, codes={"SIL301", "SIL302", "SIL303"}).findings


def test_of_other_files_a_comment_for_the_whole_file_counts_alone(repository):
    text = CONFIG.replace("4", "4  # tritonforge: ignore LBL999")
    for comment, count in (("", 1), ("# tritonforge: ignore-file LBL\n", 0)):
        model = reading.model(repository, "m", None, Known())
        told = Finding(
            rule=Rule(code="LBL999", severity="wrong", judge=list),
            model="m",
            file=Path("m/labels.txt"),
            line=3,
            column=None,
            found=Found(said="", file="labels.txt", line=3),
        )
        left, silenced, _ = silencing.part(replace(model, text=comment + text), [told])
        assert (len(left), len(silenced)) == (count, 1 - count)


def test_remarks_are_what_protobuf_takes_for_comments():
    remarks = list(pbtxt.remarks('a: "#" # one\n\n# two\n# three\nb: 1 \'#\n"#'))
    assert [(each.text, each.line, each.about) for each in remarks] == [
        ("one", 1, 1),
        ("two", 3, 5),
        ("three", 4, 5),
    ]


# --- fixes --------------------------------------------------------------------------------------


def fixed(repository, **options):
    return fixing.fix(repository, lambda: check(repository, **options))


def read(repository, model="m"):
    return (repository.path / model / "config.pbtxt").read_bytes().decode()


def test_a_fix_changes_what_it_mends_and_nothing_else(repository):
    text = CONFIG.replace("\n", "\r\n").replace("{", "{ # why\r\n")
    rewrite(repository, text)
    plan, report = fixed(repository)
    assert read(repository) == text.replace('"other"', '"m"')
    assert codes(plan.mended[0].findings) == ["LAY101"]
    assert codes(report.findings) == ["BAT101"]


def test_a_misspelt_input_gets_the_name_that_the_file_has(tmp_path):
    folder = tiny.double(tmp_path, "m")
    config = folder / "config.pbtxt"
    text = config.read_text()
    config.write_text(text.replace('name: "x"', 'name: "xx"'))
    repository = Repository(tmp_path)
    planned, after = fixing.fix(repository, lambda: check(repository))
    assert (planned.left, after.findings) == ((), ())
    assert config.read_text() == text


def test_a_misspelt_input_is_silenced_where_its_name_stands(tmp_path):
    config = tiny.double(tmp_path, "m") / "config.pbtxt"
    text = config.read_text().replace('name: "x"', '\n    name: "xx"')
    config.write_text(text)
    (found,) = check(Repository(tmp_path), codes={"FIT101"}).findings
    line = next(number for number, each in enumerate(text.split("\n"), 1) if '"xx"' in each)
    assert (found.found.at, found.line, found.column) == ("input[xx].name", line, 5)
    assert found.sentence.startswith("the model has no input 'xx', only x")
    config.write_text(text.replace('name: "xx"', 'name: "xx" # tritonforge: ignore FIT101\n'))
    report = check(Repository(tmp_path), codes={"FIT101"})
    assert (report.findings, len(report.silenced)) == ((), 1)


def test_a_plan_writes_nothing(repository):
    plan = fixing.plan(repository, check(repository))
    assert 'name: "m"' in plan.mended[0].after
    assert read(repository) == CONFIG
    assert [each.name for each in repository.path.iterdir()] == ["m"]


def test_what_is_not_told_is_not_mended(repository):
    plan, _ = fixed(repository, codes={"BAT101"})
    rewrite(repository, f"# tritonforge: ignore-file LAY101\n{CONFIG}")
    again, _ = fixed(repository)
    assert not plan.mended
    assert not again.mended


def test_a_config_outside_the_repository_is_left(repository, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "config.pbtxt"
    outside.write_text(CONFIG, "utf-8")
    path = repository.path / "m" / "config.pbtxt"
    path.unlink()
    path.symlink_to(outside)
    plan, _ = fixed(repository)
    assert outside.read_text("utf-8") == CONFIG
    assert (
        plan.left[0].why
        == f"a link leads from here to {str(outside)!r}: mend that file, or write one here"
    )


@pytest.mark.parametrize("is_whole", [False, True])
def test_a_config_that_is_a_link_to_another_models_is_left(repository, is_whole):
    place(repository.path, "linked", CONFIG)
    folder = repository.path / "linked"
    path = folder / "config.pbtxt"
    if is_whole:
        shutil.rmtree(folder)
        folder.symlink_to("m")
    else:
        path.unlink()
        path.symlink_to("../m/config.pbtxt")
    plan, report = fixed(repository)
    assert read(repository) == CONFIG.replace('"other"', '"m"')
    assert [(each.finding.model, each.why) for each in plan.left] == [
        ("linked", "a link leads from here to 'm/config.pbtxt': mend that file, or write one here")
    ]
    assert path.is_symlink() is not is_whole
    assert "linked" in {each.model for each in report.findings}


def test_all_files_are_written_or_none(repository):
    place(repository.path, "z", CONFIG + "#" * 9000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))  # the disk is full, so to speak
    try:
        with pytest.raises(OSError, match="too large"):
            fixed(repository)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read(repository) == CONFIG
    assert read(repository, "z").startswith(CONFIG)
    assert {each.name for each in (repository.path / "m").iterdir()} == {"1", "config.pbtxt"}


def finding(repository, *changes):
    """Return a finding whose rule mends it so."""
    first = next(each for each in check(repository).findings if each.is_fixable)
    made = tuple(Change(path=path, value=value) for path, value in changes)
    return replace(first, found=replace(first.found, changes=made))


def planned(repository, *findings):
    return fixing.plan(repository, replace(check(repository), findings=findings))


def test_changes_that_clash_are_not_made(repository):
    one = finding(repository, ("max_batch_size", "8"))
    other = finding(repository, ("max_batch_size", "16"))
    third = finding(repository, ("name", '"m"'))
    plan = planned(repository, one, other, third)
    assert [each.finding for each in plan.left] == [one, other]
    assert plan.mended[0].after == CONFIG.replace('"other"', '"m"')


def test_the_same_change_twice_is_made_once(repository):
    one = finding(repository, ("max_batch_size", "8"))
    other = finding(repository, ("max_batch_size", "8"), ("name", '"m"'))
    plan = planned(repository, one, other)
    assert not plan.left
    assert plan.mended[0].after == CONFIG.replace('"other"', '"m"').replace("4", "8", 1)


def test_elements_go_from_the_last_on(repository):
    rewrite(repository, CONFIG.replace("[ 2, 8 ]", "[ 16, 2, 8, 4 ]"))
    at = "dynamic_batching.preferred_batch_size[{}]"
    gone = [finding(repository, (at.format(index), None)) for index in (0, 2)]
    plan = planned(repository, *gone)
    assert "[ 2, 4 ]" in plan.mended[0].after


def test_a_change_that_a_release_would_refuse_is_not_made(repository):
    rewrite(repository, CONFIG.replace("[ 2, 8 ]", "[ 2, 4 ]"))
    plan = planned(repository, finding(repository, ("max_batch_size", "2")))
    assert "24.10 would then refuse it, by BAT101" in plan.left[0].why
    assert not plan.mended


@pytest.mark.parametrize("at", range(4))
def test_where_one_change_is_not_made_the_others_are(repository, at):
    rewrite(repository, CONFIG.replace("[ 2, 8 ]", "[ 2, 4 ]"))
    delay = "dynamic_batching.max_queue_delay_microseconds"
    sound = [("name", '"m"'), (delay, "7"), ("default_model_filename", '"model.onnx"')]
    found = [finding(repository, each) for each in sound]
    found.insert(at, finding(repository, ("max_batch_size", "2")))
    plan = planned(repository, *found)
    assert [each.finding for each in plan.left] == [found[at]]
    assert "24.10 would then refuse it, by BAT101" in plan.left[0].why
    (mended,) = plan.mended
    assert [*mended.findings] == [each for each in found if each is not found[at]]
    for said in ('name: "m"', "max_queue_delay_microseconds: 7", "max_batch_size: 4", "model.onnx"):
        assert said in mended.after


def test_of_changes_none_of_which_is_made_nothing_is_left_changed(repository):
    rewrite(repository, CONFIG.replace("[ 2, 8 ]", "[ 2, 4 ]"))
    found = [finding(repository, ("max_batch_size", "2")) for _ in range(3)]
    plan = planned(repository, *found)
    assert [each.finding for each in plan.left] == found
    assert not plan.mended


def test_a_long_config_is_read_once_for_each_change(repository):
    more = "".join(f'output {{ name: "o{each}" dims: [ "4" ] }}\n' for each in range(20))
    rewrite(repository, CONFIG + more)
    report = check(repository)
    fixable = [each for each in report.findings if each.is_fixable]
    assert len(fixable) >= 20
    before = tree.read.cache_info().misses
    for each in fixable:
        fixing.alone(repository, each, report.releases["m"])
    assert tree.read.cache_info().misses - before <= len(fixable) + 1


@pytest.mark.parametrize("change", [("nonsense", "1"), ("max_batch_size", "many")])
def test_a_change_that_leads_nowhere_is_left(repository, change):
    plan = planned(repository, finding(repository, change))
    assert plan.left
    assert not plan.mended


def test_one_finding_alone_is_mended_in_its_text(repository):
    told = finding(repository, ("name", '"m"'))
    before, after = fixing.alone(repository, told, release.find("24.10"))
    assert (before, after) == (CONFIG, CONFIG.replace('"other"', '"m"'))


def test_an_element_by_name_may_be_one_by_number():
    def put(path):
        return (Change(path=path, value="1"),)

    def cut(path):
        return (Change(path=path, value=None),)

    assert clash(cut("input[0]"), put("input[x].dims"))
    assert clash(put("input[x].dims"), cut("input[x]"))
    assert not clash(put("input[x].dims"), put("input[y].dims"))
    assert not clash(put("input[0].dims"), put("input[0].reshape"))
    assert not clash(cut("input[0]"), cut("input[0].reshape"))
    ordered = in_order((*cut("input[0]"), *cut("input[0].reshape"), *put("name"), *cut("input[2]")))
    assert [each.path for each in ordered] == ["name", "input[2]", "input[0].reshape", "input[0]"]
