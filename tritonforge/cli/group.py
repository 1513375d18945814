"""The group: sections in its help, and the one place that turns errors into words and codes."""

import atexit
import errno
import gc
import os
import signal
import sys
import traceback
from importlib import import_module
from typing import Any, NoReturn

import click

from tritonforge import __version__
from tritonforge.errors import ForgeError

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
# Importing torch makes a million objects that stay: looking through them at Python's own threshold
# of 700 new ones takes a tenth of a build and frees nothing.
_COLLECT_AFTER = 50_000
_UNFLUSHED = 120  # Python's own code where what was printed could not be written
_PRINTERS = {"click", "rich"}
_READERS = {"inspect", "place"}  # of files that somebody else may have made


class Later(click.Command):
    """Stands for a command in the list of them, until that is asked for and its module imported.

    Importing all of them takes as long as Python and click.
    """

    def __init__(self, summary: str) -> None:
        super().__init__(name=None, help=summary)


class Forge(click.Group):
    """A group whose help lists its commands by section, and whose errors are sentences."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(context_settings={"help_option_names": ["-h", "--help"]}, **attributes)
        self.sections: dict[str, tuple[str, ...]] = {}
        self.code = 1  # of the process, until it is known
        self._is_program = False
        version = click.version_option(__version__, prog_name="tritonforge")
        version(self)

    def section(self, title: str, **commands: click.Command) -> None:
        """Add commands under a title, in the order in which they are read."""
        for name, command in commands.items():
            self.add_command(command, name)
        self.sections[title] = tuple(commands)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the sections."""
        del ctx
        return [name for names in self.sections.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one titled list per section."""
        del ctx
        for title, names in self.sections.items():
            rows = [(name, self.commands[name].get_short_help_str(limit=100)) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows, col_spacing=4)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command itself: `command` of the module that is named so."""
        found = super().get_command(ctx, cmd_name)
        if not isinstance(found, Later):
            return found
        command: click.Command = import_module(f"tritonforge.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; where ONNX may end the process over its file, go on in a copy."""
        if self._is_program and args[0] in _READERS:
            from tritonforge.cli.outliving import outlive

            outlive()
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run; help and version are printed before there is a command to invoke."""
        if not args and not extra:  # as a program of its own, not by another's call
            self._is_program = True
            atexit.register(self._leave)
            for name in ("stdout", "stderr"):
                if getattr(sys, name) is None:  # closed, as by `2>&-`: what it tells is for nobody
                    setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        try:
            return super().main(*args, **extra)
        except SystemExit as left:
            self.code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
            raise
        except OSError as error:
            shown = _of_os(error)
            shown.show()
            self.code = shown.exit_code
            sys.exit(shown.exit_code)

    def _leave(self) -> NoReturn:
        """End the process once all that is registered for its end has run.

        Python would take apart what torch has built up, object by object, before it ends.
        """
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                self.code = self.code or _UNFLUSHED
        os._exit(self.code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it raises on purpose becomes a message and an exit code."""
        signal.signal(signal.SIGTERM, _terminated)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which nohup(1) asks for
            signal.signal(signal.SIGHUP, _terminated)  # the terminal has gone
        gc.set_threshold(_COLLECT_AFTER)
        try:
            return super().invoke(ctx)
        except ForgeError as error:
            raise shown_of(error) from error
        except KeyboardInterrupt:
            raise _interrupted() from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # click ends quietly when a pager closes the pipe
                raise
            raise _of_os(error) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if isinstance(error.__cause__, KeyboardInterrupt):  # in the import of a C extension
                raise _interrupted() from None
            traceback.print_exc()
            raise click.exceptions.Exit(2) from error  # Python's own 1 is a verdict here


class Shown(click.ClickException):
    """An error as a person sees it: `Error: …` and, where there is one, `Hint: …`."""

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = 2) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code  # type: ignore[misc] # click reads it from the instance

    def show(self, file: Any = None) -> None:
        """Print on stderr."""
        click.echo(f"Error: {self.message}", file=file, err=True)
        if self.hint:
            click.echo(f"Hint: {self.hint}", file=file, err=True)


def shown_of(error: ForgeError | OSError, before: str = "") -> Shown:
    """Return an error as a person sees it, `before` before its sentence."""
    if isinstance(error, OSError):
        return Shown(before + _os_sentence(error), hint=_os_hint(error))
    return Shown(before + error.message, hint=error.hint, exit_code=error.exit_code)


def _interrupted() -> click.exceptions.Exit:
    """Say so, and return what leaves."""
    click.echo("Interrupted.", err=True)
    return click.exceptions.Exit(INTERRUPTED)


def _terminated(number: int, frame: Any) -> NoReturn:
    """Leave through every `finally`, so that children and staged files go too."""
    del frame
    raise SystemExit(128 + number)


def _of_os(error: OSError) -> Shown:
    """Say what the operating system refused: to write the answer, or a file."""
    if error.filename is None and _is_of_the_answer(error):
        return Shown(
            f"cannot write the answer: {error.strerror}",
            hint="free some space where it goes, or send it elsewhere",
        )
    return shown_of(error)


def _is_of_the_answer(error: OSError) -> bool:
    """Say whether it was raised where answers are printed: a stream does not tell its name."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals["__name__"]).split(".")[0] in _PRINTERS


def _os_sentence(error: OSError) -> str:
    """Say which file the operating system refused and why."""
    reason = error.strerror or str(error)
    full = error.errno == errno.ENOSPC and error.filename2  # of a copy: where it goes
    place = full or error.filename
    return f"{place}: {reason}" if place else reason


def _os_hint(error: OSError) -> str | None:
    """Say what usually helps."""
    return {
        errno.ENOSPC: "free some space; the model repository is as it was",
        errno.EACCES: "check who owns the path and its permissions",
        errno.EROFS: "the file system is read-only; choose another place",
    }.get(error.errno or 0)
