"""Change what lies beside a config: folders of versions, files and names."""

import random
from collections.abc import Callable

import onnxfiles as of
from specimens import Specimen

Dice = random.Random


def _renamed_version(specimen: Specimen, dice: Dice) -> str:
    """Give a version's folder another name."""
    versions = sorted({path.split("/")[0] for path in specimen.files if "/" in path})
    if not versions:
        return ""
    old = dice.choice(versions)
    new = dice.choice(
        (
            "01",
            "1.partial",
            "abc",
            "0",
            "-1",
            "2",
            ".1",
            "1a",
            "v1",
            "007",
            "1 ",
            "99999999999",
            "9223372036854775808",
            "+1",
            "1.0",
            "_1",
            " 1",
        )
    )
    for path in list(specimen.files):
        if path.split("/")[0] == old:
            specimen.files[new + path[len(old) :]] = specimen.files.pop(path)
    return f"{old}/ is now {new}/"


def _another_version(specimen: Specimen, dice: Dice) -> str:
    """Put another folder beside the versions."""
    name = dice.choice(("2", "3", "0", "02", "abc", "3.partial", ".hidden", "1000", "notes"))
    specimen.files[f"{name}/"] = b""
    if dice.random() < 0.4:
        specimen.files[f"{name}/model.onnx"] = dice.choice((of.double, lambda: b"", of.two))()
    return f"another folder {name}/"


def _file_gone(specimen: Specimen, dice: Dice) -> str:
    """Take a file away; its folder stays."""
    files = [path for path in specimen.files if not path.endswith("/")]
    if not files:
        return ""
    path = dice.choice(sorted(files))
    del specimen.files[path]
    if "/" in path:
        specimen.files[path.rpartition("/")[0] + "/"] = b""
    return f"without {path}"


def _version_gone(specimen: Specimen, dice: Dice) -> str:
    """Take a version away."""
    versions = sorted({path.split("/")[0] for path in specimen.files if "/" in path})
    if not versions:
        return ""
    old = dice.choice(versions)
    for path in [path for path in specimen.files if path.split("/")[0] == old]:
        del specimen.files[path]
    return f"without {old}/"


def _file_damaged(specimen: Specimen, dice: Dice) -> str:
    """Cut, empty or bend a file."""
    files = [path for path, content in specimen.files.items() if content]
    if not files:
        return ""
    path = dice.choice(sorted(files))
    content = specimen.files[path]
    at = dice.randrange(len(content))
    how, changed = dice.choice(
        (
            (f"cut at {at}", content[:at]),
            ("emptied", b""),
            (f"byte {at} bent", content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]),
            (f"bit of byte {at} bent", content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]),
            ("something behind", content + b"\x00\x01"),
        )
    )
    specimen.files[path] = changed
    return f"{path} {how}"


def _file_renamed(specimen: Specimen, dice: Dice) -> str:
    """Give a file another name."""
    files = [path for path in specimen.files if not path.endswith("/")]
    if not files:
        return ""
    path = dice.choice(sorted(files))
    folder, slash, _ = path.rpartition("/")
    name = dice.choice(("other.onnx", "Model.onnx", "model.onnx/model.onnx", "model.ONNX"))
    specimen.files[folder + slash + name] = specimen.files.pop(path)
    return f"{path} is now {name}"


def _file_swapped(specimen: Specimen, dice: Dice) -> str:
    """Put another model in place of a model's file."""
    files = [path for path in specimen.files if path.endswith(".onnx")]
    if not files:
        return ""
    path = dice.choice(sorted(files))
    kinds: dict[str, Callable[[], bytes]] = {
        **of.ODD,
        "two": of.two,
        "scalar": lambda: of.double("-"),
        "flat": lambda: of.double("n"),
        "deep": lambda: of.double("n,4,1"),
        "fixed": lambda: of.double("8,4"),
        "free": lambda: of.double("n,l"),
        "ints": lambda: of.double(kind="INT64"),
        "ragged": of.ragged,
        "stateful": of.stateful,
        "optional": of.optional,
        "controlled": lambda: of.sequence("start INT32; end FP32; ready BOOL"),
        "controlled_otherwise": lambda: of.sequence("start FP32; end FP32; ready INT32"),
    }
    name = dice.choice(sorted(kinds))
    specimen.files[path] = kinds[name]()
    return f"{path} holds {name}"


def _folder_renamed(specimen: Specimen, dice: Dice) -> str:
    """Call the config's model otherwise than its folder."""
    if specimen.config is None:
        return ""
    specimen.config.name = dice.choice(
        (specimen.config.name.upper(), f"{specimen.config.name} ", "other")
    )
    return f"name = {specimen.config.name!r}"


def _unconfigured(specimen: Specimen, dice: Dice) -> str:
    """Take the config away, or empty it."""
    specimen.config = None
    if dice.random() < 0.4:
        specimen.text = dice.choice(("", "\n\n", "# nothing\n"))
        return f"config is {specimen.text!r}"
    return "no config"


def _with_labels(specimen: Specimen, dice: Dice) -> str:
    """Put a file beside the config."""
    name = dice.choice(("labels.txt", "README.md", "config.pbtxt.bak", "1.txt", "2"))
    specimen.files[name] = dice.choice((b"a\nb\n", b"", b"a\nb\nc\nd\n"))
    return f"another file {name}"


WAYS: tuple[Callable[[Specimen, Dice], str], ...] = (
    _renamed_version,
    _another_version,
    _file_gone,
    _version_gone,
    _file_damaged,
    _file_damaged,
    _file_renamed,
    _file_swapped,
    _file_swapped,
    _file_swapped,
    _folder_renamed,
    _unconfigured,
    _with_labels,
)
