"""Publishing, above all: killed at any moment the repository holds whole versions only."""

import ctypes
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import traceback
from contextlib import suppress
from pathlib import Path

import pytest

from tritonforge.errors import RepositoryError, SpecError
from tritonforge.repository import Repository
from tritonforge.repository.mistaken import mistaken
from tritonforge.repository.trade import fill

FILES = {"model.onnx": "weights", "manifest.json": "{}", "golden.npz": "sample"}


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "place" / "models")


def publish(repository, model="net", **wishes):
    """Stage a whole version and publish it."""
    with repository.staging(model) as stage:
        return finish(repository, stage, model, **wishes)


def finish(repository, stage, model="net", config="one", version=None, *, labels=None, **wishes):
    """Fill a stage and publish it."""
    for name, text in FILES.items():
        (stage.version_dir / name).write_text(text)
    if labels is not None:
        (stage.path / "labels.txt").write_text(labels)
    with repository.locked():
        number = repository.next_version(model) if version is None else version
        return repository.publish(stage, model, config=config, version=number, **wishes)


def leftovers(repository):
    """Name whatever unfinished thing is in or beside the repository and its models."""
    return [str(path) for path in repository.path.parent.rglob("*.partial")]


def in_child(act):
    """Run `act` in a child, which may change what it is, and fail as it fails."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException:  # noqa: BLE001 - pytest must not go on in the child
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def mounted(path, act):
    """Run `act` where `path` is a bind mount of itself: no rename leads in or out."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    new_user, new_mounts, bind = 0x10000000, 0x00020000, 4096  # linux/sched.h, linux/mount.h

    def enter():
        if libc.unshare(new_user | new_mounts) != 0:
            return False
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        return libc.mount(os.fsencode(path), os.fsencode(path), None, bind, None) == 0

    def entered():
        assert enter()
        act()

    child = os.fork()
    if child == 0:
        allowed = False
        with suppress(OSError):
            allowed = enter()
        os._exit(0 if allowed else 1)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        pytest.skip("this machine lets nobody mount in a user namespace")
    in_child(entered)


@pytest.fixture
def other_disk():
    """Make a folder on another file system than that of temporary files."""
    place = Path(tempfile.mkdtemp(dir="/dev/shm"))
    if place.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("temporary files are on the file system of /dev/shm")
    yield place
    shutil.rmtree(place)


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


def test_other_labels_replace_those_that_stand(repository):
    entry = publish(repository, labels="cat")
    publish(repository, labels="dog")
    assert (entry.model_dir / "labels.txt").read_text() == "dog"
    publish(repository, config="two")
    assert (entry.model_dir / "labels.txt").read_text() == "dog"
    assert repository.versions("net") == (1, 2, 3)


def test_what_is_obsolete_goes_with_the_same_rename(repository):
    entry = publish(repository, labels="cat")
    for name in ("old", "mine"):
        (entry.model_dir / "warmup").mkdir(exist_ok=True)
        (entry.model_dir / "warmup" / name).write_text("data")
    publish(repository, obsolete=[Path("warmup/old"), Path("labels.txt")])
    left = {str(path.relative_to(entry.model_dir)) for path in entry.model_dir.rglob("*")}
    assert "labels.txt" not in left
    assert "warmup/old" not in left
    assert "warmup/mine" in left
    publish(repository, obsolete=[Path("warmup/mine")])
    assert not (entry.model_dir / "warmup").exists()
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


@pytest.mark.parametrize("name", ["../up", "/etc", "a/b", ".hidden", "", "a..b"])
def test_names_that_lead_elsewhere_are_not_even_read(repository, name):
    with pytest.raises(SpecError, match="cannot name a model"):
        repository.versions(name)


@pytest.mark.parametrize("name", ["../up", ".hidden", "_pre", "ü", "x" * 300])
def test_names_that_cannot_be_built(repository, name):
    with pytest.raises(SpecError, match="cannot name a model"), repository.staging(name):
        pass


def test_a_foreign_name_that_triton_takes_is_read(repository):
    publish(repository)
    (repository.path / "net").rename(repository.path / "_pre")
    assert repository.models() == ("_pre",)
    assert repository.entry("_pre").version == 1
    assert repository.config("_pre") == "one"


def test_a_config_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.pbtxt").write_bytes(b"# caf\xe9")
    with pytest.raises(RepositoryError, match=r"m/config\.pbtxt: 'utf-8' codec"):
        Repository(tmp_path).config("m")


def test_models_without_a_version_are_left_out_where_none_is_named(repository):
    publish(repository, "built")
    (repository.path / "config_only").mkdir()
    (repository.path / "config_only" / "config.pbtxt").touch()
    assert [entry.model for entry in repository.select(())] == ["built"]
    assert repository.unbuilt() == ("config_only",)
    with pytest.raises(RepositoryError, match="'config_only' has no version"):
        repository.select(("built", "config_only"))
    misnamed = repository.path / "built" / "one"
    (repository.path / "built" / "1").rename(misnamed)
    for wanted in ((), ("built",)):
        with pytest.raises(RepositoryError, match=r"has (a|no) version") as caught:
            repository.select(wanted)
        assert caught.value.hint.endswith(f"from 1 up: rename {misnamed}")
    (misnamed / "model.onnx").unlink()
    zero = repository.path / "built" / "0"
    zero.mkdir()
    for wanted in ((), ("built",)):
        with pytest.raises(RepositoryError, match=r"has (a|no) version") as caught:
            repository.select(wanted)
        assert caught.value.hint == f"tritonforge serves versions from 1 up: rename {zero} to 1"
    zero.rmdir()
    with pytest.raises(RepositoryError, match=r"no model in .* has a version") as caught:
        repository.select(())
    assert "build one of built, config_only" in caught.value.hint


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


FOLDERS = {
    "config": (["config.pbtxt"], True),
    "whole": (["config.pbtxt", "1/model.onnx", "2/model.onnx", "warmup/data"], True),
    "bare": (["1/model.onnx"], True),
    "repository": (["net/config.pbtxt"], False),
    "stray": (["config.pbtxt", "net/1/model.onnx"], False),
    "numbers": (["1/1/model.onnx", "2/1/model.onnx"], False),
    "numbered": (["1/config.pbtxt"], False),
    "nothing": ([], False),
    "file": (["1/model.onnx", "notes/text"], False),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_models_own_folder_is_told_from_a_repository(tmp_path, monkeypatch, name):
    files, is_model = FOLDERS[name]
    folder = tmp_path / "some models" / name
    folder.mkdir(parents=True)
    for each in files:
        (folder / each).parent.mkdir(parents=True, exist_ok=True)
        (folder / each).touch()
    error = mistaken(folder)
    assert (error is not None) == is_model
    if error is not None:
        assert f"-r '{tmp_path}/some models' {name}" in error.hint
        monkeypatch.chdir(folder)
        with pytest.raises(RepositoryError, match=r"\. is the folder of a model") as caught:
            Repository(Path()).entry("net")
        assert caught.value.hint == error.hint


def test_an_empty_repository_says_what_to_do(tmp_path):
    with pytest.raises(RepositoryError, match="no models in") as error:
        Repository(tmp_path / "nothing").select(())
    assert "tritonforge build" in error.value.hint
    assert not (tmp_path / "nothing").exists()


def _publish_many(path, count, configs):
    for number in range(count):
        publish(Repository(path), config=configs[number % len(configs)])


def _race(repository, configs):
    """Let four builds at once publish five versions each, every second under another config."""
    context = multiprocessing.get_context("fork")
    arguments = (repository.path, 5, configs)
    builds = [context.Process(target=_publish_many, args=arguments) for _ in range(4)]
    for each in builds:
        each.start()
    for each in builds:
        each.join(60)
    assert [each.exitcode for each in builds] == [0] * 4
    assert repository.versions("net") == tuple(range(1, 21))
    assert leftovers(repository) == []


@pytest.mark.parametrize("configs", [("one",), ("one", "two")], ids=len)
def test_many_builds_at_once_all_succeed(repository, configs):
    _race(repository, configs)


def _overtake(repository):
    """Replace the config while another build is half way; both must come to their end."""
    with repository.staging("net") as slow:
        (slow.version_dir / "model.onnx").write_text("half")
        publish(repository, config="two", labels="dog")
        assert (slow.version_dir / "model.onnx").read_text() == "half"
        assert not slow.path.is_symlink()
        with repository.staging("net"):  # which sweeps
            finish(repository, slow, config="three")
    assert repository.config("net") == "three"
    assert repository.versions("net") == (1, 2, 3)
    _assert_whole(repository, (1, 2, 3), configs={"three"})
    assert leftovers(repository) == []


def test_a_new_config_leaves_a_build_that_is_half_way_alone(repository):
    publish(repository)
    _overtake(repository)


def test_a_model_on_another_disk_is_copied_and_leaves_other_builds_alone(repository, other_disk):
    publish(repository)
    shutil.move(repository.path / "net", other_disk / "net")
    (repository.path / "net").symlink_to(other_disk / "net")
    _overtake(repository)
    assert (repository.path / "net").is_symlink()
    assert list(other_disk.rglob("*.partial")) == []


def test_files_that_cannot_be_linked_are_copied(tmp_path, other_disk):
    (other_disk / "net" / "1").mkdir(parents=True)
    (other_disk / "net" / "1" / "model.onnx").write_text("weights")
    (other_disk / "net" / "notes.md").write_text("mine")
    (other_disk / "net" / "readme").symlink_to("notes.md")
    (tmp_path / "whole").mkdir()
    fill(tmp_path / "whole", other_disk / "net")
    assert (tmp_path / "whole" / "1" / "model.onnx").read_text() == "weights"
    assert (tmp_path / "whole" / "notes.md").read_text() == "mine"
    assert (tmp_path / "whole" / "readme").readlink() == Path("notes.md")


def test_where_no_trade_is_possible_all_is_as_it_was(repository, other_disk):
    publish(repository)
    with repository.staging("net") as stage:  # beside the root; then the model moves away
        shutil.move(repository.path / "net", other_disk / "net")
        (repository.path / "net").symlink_to(other_disk / "net")
        with pytest.raises(RepositoryError, match="in one step: Invalid cross-device link"):
            finish(repository, stage, config="two")
        assert not stage.path.exists()
    assert repository.versions("net") == (1,)
    assert repository.config("net") == "one"
    assert leftovers(repository) == []


def test_builds_at_once_where_the_root_is_a_mount(repository):
    repository.path.mkdir(parents=True)

    def act():
        with repository.staging("net") as stage:
            assert stage.path.parent == repository.path
            finish(repository, stage)
        _overtake(repository)
        shutil.rmtree(repository.path / "net")
        _race(repository, ("one", "two"))

    mounted(repository.path, act)


def test_a_model_that_is_a_mount_takes_versions_and_refuses_another_config(repository):
    model = publish(repository).model_dir

    def act():
        publish(repository)
        with pytest.raises(RepositoryError, match=r"cannot replace .*/net in one step"):
            publish(repository, config="two")
        assert repository.versions("net") == (1, 2)
        assert repository.config("net") == "one"
        assert leftovers(repository) == []

    mounted(model, act)


def test_builds_where_the_parent_is_not_ours_to_write():
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(Path(folder) / "models")
        repository.path.mkdir()
        repository.path.chmod(0o777)
        Path(folder).chmod(0o555)
        import filelock  # noqa: F401 - loaded before the environment becomes unreadable

        def act():
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            with repository.staging("net") as stage:
                assert stage.path.parent == repository.path
                finish(repository, stage)
            _overtake(repository)

        in_child(act)
        Path(folder).chmod(0o755)


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
    "new-labels": ({"config": "one", "labels": "dog"}, 2),
    "forced": ({"config": "one", "version": 1, "force": True}, 2),
}


def _kill_everywhere(repository, arguments, before):
    """Kill a build at its every touch; what is visible must be whole, and be swept in the end."""
    for _ in range(before):
        publish(repository, labels="cat")
    stood = repository.versions("net")
    for touch in range(400):
        ended = killed_at(touch, lambda: publish(repository, **arguments))
        _assert_whole(repository, stood, configs={"one", "two"})
        published = repository.versions("net") != stood or repository.config("net") == "two"
        if ended or published:  # after the one rename there is only tidying
            break
    assert touch > 10
    publish(repository, config=repository.config("net") or "one")  # and the next build sweeps
    assert leftovers(repository) == []


@pytest.mark.parametrize("situation", SITUATIONS)
def test_killed_at_any_moment_it_holds_whole_versions_only(repository, situation):
    _kill_everywhere(repository, *SITUATIONS[situation])
    visible = [path for path in repository.path.glob("*") if path.is_dir()]
    assert [path.name for path in visible] == ["net"]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_killed_at_any_moment_where_the_root_is_a_mount(repository, situation):
    repository.path.mkdir(parents=True)
    mounted(repository.path, lambda: _kill_everywhere(repository, *SITUATIONS[situation]))


@pytest.mark.parametrize("situation", ["new-version", "new-config", "forced"])
def test_killed_at_any_moment_where_the_model_is_on_another_disk(repository, other_disk, situation):
    (other_disk / "net").mkdir()
    repository.path.mkdir(parents=True)
    (repository.path / "net").symlink_to(other_disk / "net")
    _kill_everywhere(repository, *SITUATIONS[situation])
    assert list(other_disk.rglob("*.partial")) == []


def _assert_whole(repository, stood, configs):
    """Every visible version is complete, every model has its config, none of before is gone."""
    for model in repository.models():
        versions = repository.versions(model)
        assert versions, "a model without a version is visible"
        assert set(stood) <= set(versions)
        for version in versions:
            held = {path.name for path in repository.entry(model, version).version_dir.iterdir()}
            assert held == set(FILES)
        new_stands = versions != stood
        assert repository.config(model) in (configs if new_stands else configs - {"two"})


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
