"""Publishing, above all: killed at any moment the repository holds whole versions only."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tritonforge.errors import RepositoryError, SpecError
from tritonforge.repository import Repository

FILES = {"model.onnx": "weights", "manifest.json": "{}", "golden.npz": "sample"}


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "place" / "models")


def publish(repository, model="net", config="one", version=None, *, force=False, labels=None):
    """Stage a whole version and publish it."""
    with repository.staging(model) as stage:
        for name, text in FILES.items():
            (stage.version_dir / name).write_text(text)
        if labels is not None:
            (stage.path / "labels.txt").write_text(labels)
        with repository.locked():
            number = repository.next_version(model) if version is None else version
            return repository.publish(stage, model, config=config, version=number, force=force)


def leftovers(repository):
    """Name whatever unfinished thing is in or beside the repository."""
    return [str(path) for path in repository.path.parent.rglob("*.partial")]


def test_a_new_model_and_its_next_versions(repository):
    assert repository.models() == ()
    first = publish(repository, labels="cat\ndog\n")
    assert first.version == 1
    assert first.config_path.read_text() == "one"
    assert (first.model_dir / "labels.txt").read_text() == "cat\ndog\n"
    assert publish(repository).version == 2
    assert publish(repository, version=7).version == 7
    assert publish(repository).version == 8
    assert repository.versions("net") == (1, 2, 7, 8)
    assert {path.name for path in first.version_dir.iterdir()} == set(FILES)
    assert leftovers(repository) == []


def test_an_existing_version_needs_force(repository):
    entry = publish(repository)
    (entry.version_dir / "model.onnx").write_text("old")
    with pytest.raises(RepositoryError, match="version 1 of 'net' exists"):
        publish(repository, version=1)
    assert (entry.version_dir / "model.onnx").read_text() == "old"
    publish(repository, version=1, force=True)
    assert (entry.version_dir / "model.onnx").read_text() == "weights"
    assert leftovers(repository) == []


def test_another_config_takes_the_place_of_the_old_one_with_the_new_version(repository):
    entry = publish(repository, labels="cat")
    (entry.model_dir / "notes.md").write_text("mine")
    newer = publish(repository, config="two")
    assert newer.config_path.read_text() == "two"
    assert repository.versions("net") == (1, 2)
    assert (entry.model_dir / "notes.md").read_text() == "mine"
    assert (entry.model_dir / "labels.txt").read_text() == "cat"
    assert leftovers(repository) == []


def test_a_failure_in_the_stage_leaves_nothing(repository):
    def fail():
        with repository.staging("net") as stage:
            (stage.version_dir / "model.onnx").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert repository.models() == ()
    assert leftovers(repository) == []


def test_a_foreign_partial_folder_is_never_swept(repository):
    publish(repository)
    beside = repository.path.parent / ".backup.partial"
    inside = repository.path / "net" / ".mine.partial"
    beside.mkdir()
    inside.mkdir()
    publish(repository)
    assert beside.is_dir()
    assert inside.is_dir()


@pytest.mark.parametrize("name", ["../up", "/etc", "a/b", ".hidden", "", "a..b", "ü", "x" * 300])
def test_names_that_cannot_be(repository, name):
    with pytest.raises(SpecError, match="cannot name a model"):
        repository.model_dir(name)


def test_finding(repository):
    publish(repository, "resnet50")
    (repository.path / "resnet50" / "007").mkdir()
    (repository.path / "resnet50" / "3.partial").mkdir()
    (repository.path / ".hidden").mkdir()
    assert repository.models() == ("resnet50",)
    assert repository.entry("resnet50").version == 1
    with pytest.raises(RepositoryError, match="no model 'resnet5'") as error:
        repository.entry("resnet5")
    assert error.value.hint == "did you mean 'resnet50'?"
    with pytest.raises(RepositoryError, match="has no version 4"):
        repository.entry("resnet50", 4)


def test_an_empty_repository_says_what_to_do(tmp_path):
    with pytest.raises(RepositoryError, match="no models in") as error:
        Repository(tmp_path / "nothing").select(())
    assert "tritonforge build" in error.value.hint
    assert not (tmp_path / "nothing").exists()


def _publish_many(path, count):
    for _ in range(count):
        publish(Repository(path))


def test_many_builds_at_once_all_succeed(repository):
    context = multiprocessing.get_context("fork")
    builds = [context.Process(target=_publish_many, args=(repository.path, 5)) for _ in range(4)]
    for each in builds:
        each.start()
    for each in builds:
        each.join(60)
    assert [each.exitcode for each in builds] == [0] * 4
    assert repository.versions("net") == tuple(range(1, 21))
    assert leftovers(repository) == []


def test_an_older_model_behind_a_symlink_keeps_its_place(repository, tmp_path):
    real = tmp_path / "elsewhere"
    publish(Repository(tmp_path / "other"), "net")
    (tmp_path / "other" / "net").rename(real)
    repository.path.mkdir(parents=True)
    (repository.path / "net").symlink_to(real)
    publish(repository)
    publish(repository, config="two")
    assert (repository.path / "net").is_symlink()
    assert sorted(path.name for path in real.iterdir()) == ["1", "2", "3", "config.pbtxt"]
    assert (real / "config.pbtxt").read_text() == "two"


def killed_at(touch, act):
    """Run `act` in a child that kills itself at its Nth touch of the file system.

    Python tells every one to an audit hook. Returns whether the child came to its end.
    """
    child = os.fork()
    if child == 0:
        left = touch

        def hook(event, _arguments):
            nonlocal left
            if event.startswith(("open", "os.", "shutil.", "fcntl.", "ctypes.")):
                left -= 1
                if left == -1:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in {0, -signal.SIGKILL}
    return os.waitstatus_to_exitcode(status) == 0


SITUATIONS = {
    "new-model": ({"config": "one", "labels": "cat"}, 0),
    "new-version": ({"config": "one"}, 2),
    "new-config": ({"config": "two", "labels": "dog"}, 2),
    "forced": ({"config": "one", "version": 1, "force": True}, 2),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_killed_at_any_moment_it_holds_whole_versions_only(repository, situation):
    arguments, before = SITUATIONS[situation]
    for _ in range(before):
        publish(repository)
    stood = repository.versions("net")
    for touch in range(400):
        ended = killed_at(touch, lambda: publish(repository, **arguments))
        _assert_whole(repository, stood)
        published = repository.versions("net") != stood or repository.config("net") == "two"
        if ended or published:  # after the one rename there is only tidying
            break
    assert touch > 10
    publish(repository, config=repository.config("net") or "one")  # and the next build sweeps
    assert leftovers(repository) == []


def _assert_whole(repository, stood):
    """Every visible version is complete, every model has its config, none of before is gone."""
    for model in repository.models():
        versions = repository.versions(model)
        assert versions, "a model without a version is visible"
        assert set(stood) <= set(versions)
        for version in versions:
            held = {path.name for path in repository.entry(model, version).version_dir.iterdir()}
            assert held == set(FILES)
        new_stands = versions != stood
        assert repository.config(model) in ({"one", "two"} if new_stands else {"one"})
    visible = [path for path in repository.path.glob("*") if path.is_dir()]
    assert [path.name for path in visible] in ([], ["net"])


def test_a_full_disk_is_said_and_loses_nothing(repository):
    publish(repository)
    limited = textwrap.dedent(
        f"""
        import resource, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from tritonforge.repository import Repository
        import filelock
        from test_repository import publish
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3, 3))
        publish(Repository(Path({str(repository.path)!r})))
        """
    )
    ended = subprocess.run(
        [sys.executable, "-c", limited], capture_output=True, text=True, timeout=60, check=False
    )
    assert "File too large" in ended.stderr
    assert repository.versions("net") == (1,)
    assert leftovers(repository) == []


def test_reading_creates_nothing(tmp_path):
    Repository(tmp_path / "none").models()
    assert list(tmp_path.iterdir()) == []
