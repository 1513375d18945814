"""What a check remembers of files: known again by content, passed over where it is unsound."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import onnx
import onnxfiles as of
import pytest
from onnx import TensorProto, helper

from tritonforge import alongside, process, release
from tritonforge.check import ahead, check, known, remembering
from tritonforge.check.known import Known
from tritonforge.errors import ForgeError, GraphError
from tritonforge.facts import Asked, Facts
from tritonforge.release import find
from tritonforge.repository import Repository

ASKED = Asked(release=find(release.EMBEDDED), accelerator="cpu", may_use_gpu=True)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv(remembering.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(path, op="Relu", dim="batch", **more):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], **more)],
        "g",
        [value("x", TensorProto.FLOAT, [dim, 3])],
        [value("y", TensorProto.FLOAT, [dim, 3])],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def entries(shelf):
    return [each for each in shelf.rglob("*") if each.is_file()]


def test_facts_come_back_as_they_were(shelf, tmp_path):
    path = written(tmp_path / "model.onnx")
    first = Known(sheltered=False).of(path, ASKED)
    assert len(entries(shelf)) == 1
    assert Known(sheltered=False).of(path, ASKED) == first
    assert remembering.Shelf(shelf, Facts).get(_key(shelf)) == first


@pytest.mark.parametrize("made", [of.branching, of.function, of.zipmap])
def test_facts_of_files_of_all_kinds_come_back(shelf, tmp_path, monkeypatch, made):
    path = tmp_path / "model.onnx"
    path.write_bytes(made())
    first = Known(sheltered=False).of(path, ASKED)
    assert remembering.Shelf(shelf, Facts).get(_key(shelf)) == first
    monkeypatch.setenv(remembering.VARIABLE, remembering.NONE)
    with closing(Known()) as known:
        assert known.of(path, ASKED) == first


def test_a_fault_comes_from_the_other_process_as_it_was_raised(tmp_path):
    model = onnx.load(written(tmp_path / "model.onnx"))
    model.graph.node.add().CopyFrom(model.graph.node[0])
    path = tmp_path / "twice.onnx"
    onnx.save(model, path)
    with closing(Known()) as known, pytest.raises(GraphError) as there:
        known.of(path, ASKED)
    with pytest.raises(GraphError) as here:
        Known(sheltered=False).of(path, ASKED)
    assert (there.value.message, there.value.hint) == (here.value.message, here.value.hint)


def _key(shelf):
    (held,) = entries(shelf)
    return held.parent.name + held.name


def test_content_release_and_accelerator_tell_facts_apart(shelf, tmp_path):
    path = written(tmp_path / "model.onnx")
    Known(sheltered=False).of(path, ASKED)
    Known(sheltered=False).of(written(tmp_path / "other" / "same.onnx"), ASKED)
    assert len(entries(shelf)) == 1
    Known(sheltered=False).of(path, replace(ASKED, accelerator="cuda"))
    Known(sheltered=False).of(path, replace(ASKED, release=find("23.10")))
    Known(sheltered=False).of(written(tmp_path / "model.onnx", "Tanh"), ASKED)
    assert len(entries(shelf)) == 4


def test_large_weights_are_no_part_of_it(shelf, tmp_path):
    for number in range(2):
        path = written(tmp_path / "model.onnx")
        model = onnx.load(path)
        model.graph.initializer.add(
            name="w", data_type=TensorProto.FLOAT, dims=(1_000,), raw_data=bytes([number]) * 4_000
        )
        onnx.save(model, path)
        Known(sheltered=False).of(path, ASKED)
    assert len(entries(shelf)) == 1


def test_what_depends_on_other_files_is_not_kept(shelf, tmp_path):
    path = written(tmp_path / "model.onnx")
    model = onnx.load(path)
    small = model.graph.initializer.add(name="s", data_type=TensorProto.INT64, dims=(2,))
    small.data_location = TensorProto.EXTERNAL
    small.external_data.add(key="location", value="beside")
    onnx.save(model, path)
    (tmp_path / "beside").write_bytes(bytes(16))
    Known(sheltered=False).of(path, ASKED)
    assert not entries(shelf)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:0],
        lambda text: text[:-3],
        lambda text: text.replace(b'"x"', b'"z"'),
        lambda text: b"\xff" * len(text),
        lambda text: text[:65] + b"[" * 100_000,
    ],
)
def test_an_unsound_entry_is_passed_over_and_written_anew(shelf, tmp_path, spoil):
    path = written(tmp_path / "model.onnx")
    first = Known(sheltered=False).of(path, ASKED)
    (held,) = entries(shelf)
    sound = held.read_bytes()
    held.write_bytes(spoil(sound))
    assert Known(sheltered=False).of(path, ASKED) == first
    assert held.read_bytes() == sound


@pytest.mark.parametrize(
    "text", [b"{}", b"[]", b"null", b'{"has": 3}', b'{"has": {"inputs": [[]]}}', b"[" * 100_000]
)
def test_an_entry_of_other_types_is_passed_over_whatever_its_checksum(shelf, tmp_path, text):
    path = written(tmp_path / "model.onnx")
    first = Known(sheltered=False).of(path, ASKED)
    (held,) = entries(shelf)
    held.write_bytes(remembering._sum(_key(shelf), text) + b"\n" + text)
    assert Known(sheltered=False).of(path, ASKED) == first


def test_a_folder_keeps_so_many_entries_and_the_newest(shelf, tmp_path):
    first = Known(sheltered=False).of(written(tmp_path / "model.onnx"), ASKED)
    kept = remembering.Shelf(shelf / "more", Facts)
    for number in range(remembering._MOST + 20):
        kept.put(f"ab{number}", first)
        os.utime(shelf / "more" / "ab" / str(number), (number, number))
    kept.sweep()
    left = {int(each.name) for each in (shelf / "more" / "ab").iterdir()}
    assert left == set(range(20, remembering._MOST + 20))


def test_what_is_too_large_is_not_kept(shelf, tmp_path):
    found = Known(sheltered=False).of(written(tmp_path / "model.onnx"), ASKED)
    kept = remembering.Shelf(shelf / "more", Facts)
    kept.put("abc", replace(found, domains=("d" * 100_000,)))
    assert not entries(shelf / "more")


def test_where_nothing_can_be_written_files_are_read_each_time(tmp_path, monkeypatch):
    path = written(tmp_path / "model.onnx")
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        monkeypatch.setenv(remembering.VARIABLE, str(folder))
        known = Known(sheltered=False)
        assert known.of(path, ASKED).has.inputs[0].name == "x"
        known.close()


def test_the_variable_turns_it_off(tmp_path, monkeypatch):
    monkeypatch.setenv(remembering.VARIABLE, remembering.NONE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Known(sheltered=False).of(written(tmp_path / "model.onnx"), ASKED)
    assert not (tmp_path / "cache").exists()


def test_many_write_at_once(shelf, tmp_path):
    paths = [written(tmp_path / f"{number}.onnx", dim=f"d{number % 5}") for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        each = [*pool.map(lambda path: Known(sheltered=False).of(path, ASKED), paths)]
    assert len(entries(shelf)) == 5
    for path, found in zip(paths, each, strict=True):
        assert Known(sheltered=False).of(path, ASKED) == found


def test_a_check_tells_the_same_with_and_without(shelf, tmp_path):
    written(tmp_path / "r" / "m" / "1" / "model.onnx", "Gelu")
    written(tmp_path / "r" / "n" / "1" / "model.onnx", dim=0)
    (tmp_path / "r" / "n" / "config.pbtxt").write_text('backend: "onnxruntime" max_batch_size: 4')
    told = [check(Repository(tmp_path / "r")).findings for _ in range(2)]
    assert entries(shelf)
    assert told[0] == told[1]
    assert any(each.rule.code == "OPS102" for each in told[0])


def test_the_code_that_judges_is_part_of_what_tells_facts_apart():
    assert known._ourselves() == known._ourselves.__wrapped__()
    assert len(known._ourselves()) == 64


def children():
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_a_second_process_reads_ahead_and_ends_with_the_first(shelf, tmp_path, monkeypatch):
    started = []

    def spied(module, *args):
        started.append(module)
        return command(module, *args)

    command = alongside.command
    monkeypatch.setattr(alongside, "command", spied)
    names = [f"m{number:03}" for number in range(ahead.FEW + 40)]
    for name in names:
        written(tmp_path / "r" / name / "1" / "model.onnx", dim=name)
    repository = Repository(tmp_path / "r")
    others = children()  # of earlier tests, such as the forks' server
    first = check(repository).findings
    assert children() <= others
    assert (ahead.__name__ in started) == ahead.pays(len(names))
    assert len(entries(shelf)) == len(names)
    assert check(repository).findings == first


def test_a_check_goes_on_where_no_second_process_can_be_started(tmp_path, monkeypatch):
    def refused(*_):
        raise ForgeError("no room")

    written(tmp_path / "r" / "m" / "1" / "model.onnx")
    monkeypatch.setattr(alongside, "command", refused)
    with ahead.reading(Repository(tmp_path / "r"), None):
        pass


def test_reading_ahead_leaves_what_a_check_finds(shelf, tmp_path):
    for name in ("a", "b"):
        written(tmp_path / "r" / name / "1" / "model.onnx", dim=name)
    process.run(alongside.command(ahead.__name__, str(tmp_path / "r"), ""), timeout=60, quiet=True)
    known = Known(sheltered=False)
    assert len(entries(shelf)) == 2
    known.of(tmp_path / "r" / "b" / "1" / "model.onnx", ASKED)
    assert not known.new
