"""The README holds the help of every command, and its commands are real ones."""

import contextlib
import re
import shlex
import tempfile
from pathlib import Path

import click
import tiny
from click.testing import CliRunner

from tritonforge import rules, specfile
from tritonforge.cli import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
KEYS_START, KEYS_END = "<!-- keys: written by scripts/readme -->\n", "<!-- end of keys -->"
CHECK_START, CHECK_END = "<!-- check: written by scripts/readme -->\n", "<!-- end of check -->"
CODES_START, CODES_END = "<!-- codes: written by scripts/readme -->\n", "<!-- end of codes -->"
START, END = "<!-- commands: written by scripts/readme -->\n", "<!-- end of commands -->"


SEARCH = """\
platform: "ensemble"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
ensemble_scheduling {
  step {
    model_name: "embbed"
    model_version: -1
    input_map { key: "x" value: "x" }
    output_map { key: "y" value: "y" }
  }
}
"""


def commands(group: click.Group, *path: str):
    """Yield every command with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


def helps() -> str:
    """Print the help of every command as the README shows it."""
    parts = []
    for words, _ in commands(main):
        result = CliRunner().invoke(main, [*words, "--help"], prog_name="tritonforge")
        assert result.exit_code == 0, result.output
        parts.append(f"```\n$ tritonforge {' '.join(words)} --help\n{result.output}```\n")
    return "\n".join(parts)


def keys() -> str:
    """Print the keys of a file of specs as the README shows them."""
    rows = [f"| `{name}` | {_flags(flag)} | {says} |" for name, flag, says in specfile.rows()]
    return "\n".join(["| key | flag | says |", "|---|---|---|", *rows]) + "\n"


def checked() -> str:
    """Print what a check finds of a small repository, as the README shows it."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        root = Path("model_repository")
        text = tiny.config(8, "x FP32 4", "y FP32 4").replace("[ 4 ] }", "[ 4 ] }\n", 1)
        sizes = "dynamic_batching {\n  preferred_batch_size: [ 4, 16 ]\n}\n"
        model = tiny.place(
            root, "embed", text.replace("dynamic_batching { }\n", sizes), *tiny.DOUBLE
        )
        config = model / "config.pbtxt"
        config.write_text(config.read_text("utf-8").replace('"embed"', '"embedder"'), "utf-8")
        search = root / "search" / "config.pbtxt"
        (search.parent / "1").mkdir(parents=True)
        search.write_text(SEARCH, "utf-8")
        result = CliRunner().invoke(main, ["check"], prog_name="tritonforge")
    assert result.exit_code == 1, result.output
    return f"```console\n$ tritonforge check\n{result.output}```\n"


def codes() -> str:
    """Print the codes of all rules as the README shows them."""
    rows = [
        f"| `{rule.code}` | {rule.severity} | {rule.title.replace('|', chr(92) + '|')} |"
        for rule in sorted(rules.RULES, key=lambda rule: rule.code)
    ]
    return "\n".join(["| code | severity | what holds |", "|---|---|---|", *rows]) + "\n"


def _flags(text: str) -> str:
    return ", ".join(f"`{flag}`" for flag in text.split(", ") if flag)


def test_readme_holds_the_key_table():
    text = README.read_text("utf-8")
    assert text.split(KEYS_START)[1].split(KEYS_END)[0] == keys(), "run scripts/readme"


def test_readme_holds_the_codes_of_check():
    text = README.read_text("utf-8")
    assert text.split(CODES_START)[1].split(CODES_END)[0] == codes(), "run scripts/readme"


def test_readmes_example_of_check_is_what_it_prints():
    text = README.read_text("utf-8")
    assert text.split(CHECK_START)[1].split(CHECK_END)[0] == checked(), "run scripts/readme"


def test_every_flag_of_a_key_is_one_of_build():
    (build,) = [command for words, command in commands(main) if words == ("build",)]
    known = {flag for each in build.params for flag in each.opts}
    flags = {flag for _, text, _ in specfile.rows() for flag in text.split(", ") if flag}
    assert flags <= known


def test_readme_holds_the_help_of_every_command():
    text = README.read_text("utf-8")
    assert text.split(START)[1].split(END)[0] == helps(), "run scripts/readme"


def test_the_list_says_of_each_command_what_it_says_itself():
    context = click.Context(main)
    for name in main.list_commands(context):
        said = main.get_command(context, name).get_short_help_str(limit=100)
        assert main.commands[name].help == said


def test_every_option_has_a_help_text():
    for words, command in commands(main):
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (words, parameter.name)


def test_readmes_commands_parse():
    shown = re.findall(r"^\$? ?(tritonforge .+)$", README.read_text("utf-8"), re.MULTILINE)
    shown += re.findall(
        r"^(tritonforge .+)$", (ROOT / "docker/README.md").read_text(), re.MULTILINE
    )
    assert len(shown) > 8
    for line in shown:
        words = shlex.split(line, comments=True)[1:]
        if "--help" in words:
            continue
        context = main.make_context("tritonforge", list(words), resilient_parsing=False)
        name, command, rest = main.resolve_command(context, list(words))
        assert command is not None
        command.make_context(name, rest, parent=context)


def test_readme_names_every_dependency():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["torch"]]
    text = README.read_text("utf-8").split("## Dependencies")[1]
    for requirement in wanted:
        assert re.match(r"[a-z0-9-]+", requirement)[0] in text, requirement


if __name__ == "__main__":
    text = README.read_text("utf-8")
    written_parts = (
        (CHECK_START, checked(), CHECK_END),
        (KEYS_START, keys(), KEYS_END),
        (CODES_START, codes(), CODES_END),
        (START, helps(), END),
    )
    for start, written, end in written_parts:
        text = text.split(start)[0] + start + written + end + text.split(end)[1]
    README.write_text(text, "utf-8")
