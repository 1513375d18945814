"""Options and arguments bundled as decorators, so that a flag means the same everywhere."""

from collections.abc import Callable
from itertools import takewhile
from typing import Any

import click

from tritonforge.cli import parsed

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def split(arguments: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part model names from what follows `--`, which begins with the first option."""
    models = tuple(takewhile(lambda argument: not argument.startswith("-"), arguments))
    return tuple(map(_named, models)), arguments[len(models) :]


def _named(model: str) -> str:
    """Take the slash off the name of a model that a shell has completed as a folder's."""
    name = model.removesuffix("/")
    return model if "/" in name else name


def named(_context: click.Context, _option: click.Parameter, models: str | tuple[str, ...]) -> Any:
    """Take what is given for one model, or for several."""
    return _named(models) if isinstance(models, str) else tuple(map(_named, models))


def of_our_own(target: Any, urls: tuple[str, ...]) -> None:
    """Refuse a target for a server that runs already: what it runs is not ours to choose."""
    if target is not None and urls:
        raise click.UsageError("--target chooses for a server of our own, --url names another")


def model_file(model: str, repository: Any, version: int | None) -> Any:
    """Return the file of a MODEL: an `.onnx` path itself, else a version in the repository."""
    from pathlib import Path

    if not _is_model_file(model):
        from tritonforge import served

        return served.model_path(repository.entry(model, version))
    if version is not None:
        raise click.UsageError("-x names a version of a model in the repository, MODEL is a file")
    return Path(model)


def _is_model_file(text: str) -> bool:
    return text.endswith(".onnx")


def _is_config(text: str) -> bool:
    return "/" in text or text.endswith(".pbtxt")


class _Repository(click.Option):
    """An option whose default is what the file of specs says, where there is one.

    That file is not asked where all arguments of `names` are paths by `is_path`: such a command
    needs no repository, and does its work beside a file of specs that is broken.
    """

    def __init__(
        self,
        *declarations: Any,
        names: tuple[str, ...] = (),
        is_path: Callable[[str], bool] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(*declarations, **attributes)
        self.names, self.is_path = names, is_path

    def get_default(self, ctx: click.Context, call: bool = True) -> Any:  # noqa: FBT002
        """Read the file that is in use; help shows the default without one."""
        standard = super().get_default(ctx, call=call)
        given = [ctx.params.get(name) for name in self.names]
        if not call or (
            self.is_path and all(isinstance(each, str) and self.is_path(each) for each in given)
        ):
            return standard
        import os
        from pathlib import Path

        from tritonforge import specfile

        # What was not given is a mark of click's own while values are still gathered.
        path, env = ctx.params.get("spec_file"), ctx.params.get("env")
        file = specfile.find(path if isinstance(path, Path) else None)
        env = env if isinstance(env, str) else os.environ.get("TRITONFORGE_ENV")
        if file is None:
            return standard
        file.check_env(env)
        return str(file.repository(env) or standard)


class _Target(click.Option):
    """An option whose default is looked up where it is needed, not on the way to every help."""

    def get_default(self, ctx: click.Context, call: bool = True) -> Any:  # noqa: FBT002
        from tritonforge import release

        self.default = release.EMBEDDED
        return super().get_default(ctx, call=call)


def once(
    context: click.Context, option: click.Parameter, pairs: tuple[tuple[str, Any], ...]
) -> tuple[tuple[str, Any], ...]:
    """Refuse a name that comes twice: only one of its values would count."""
    names = [name for name, _ in pairs]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise click.BadParameter(f"it names {name!r} twice", context, option)
    return pairs


model = click.argument("model", callback=named)
size = click.option(
    "--size",
    "sizes",
    type=parsed.SIZE,
    multiple=True,
    callback=once,
    help="The size of a dynamic dimension, as batch=8; repeat for several.",
)


def _repository(*names: str, is_path: Callable[[str], bool] | None = None) -> Decorator:
    """Make the option of a command, of whose arguments `names` may be paths."""
    return click.option(
        "-r",
        "--model-repository",
        cls=_Repository,
        names=names,
        is_path=is_path,
        type=parsed.REPOSITORY,
        default="model_repository",
        show_default=True,
        envvar="TRITONFORGE_MODEL_REPOSITORY",
        help="The Triton model repository.",
    )


model_repository = _repository()
repository_of_model = _repository("model", is_path=_is_model_file)
repository_of_config = _repository("model", is_path=_is_config)
repository_unless_explained = _repository("explain", is_path=bool)
repository_of_configs = _repository("a", "b", is_path=_is_config)
target = click.option(
    "--target",
    cls=_Target,
    type=parsed.TARGET,
    show_default=True,
    help="The NGC release to build for, such as 24.10, or an ONNX Runtime, ort:1.19.2: it pins "
    "opset and IR.",
)
targets = click.option(
    "--target",
    "targets",
    type=parsed.TARGETS,
    help="The NGC release, such as 24.10, or an ONNX Runtime, ort:1.19.2; all: each release, one "
    "line each. Without it 24.10, with --observe the installed ONNX Runtime.",
)
served_by = click.option(
    "--target",
    type=parsed.TARGET,
    help="The NGC release whose ONNX Runtime runs the models, or that one itself, ort:1.19.2; "
    "without it the one that they were built for, or 24.10. The server itself is Triton 2.51 "
    "whatever it is.",
)
models = click.argument("models", metavar="[MODEL]...", nargs=-1, callback=named)
model_version = click.option(
    "-x",
    "--model-version",
    type=click.IntRange(min=1),
    help="The version of the model; without it the newest (build: the next free number).",
)
urls = click.option(
    "-u",
    "--url",
    "urls",
    multiple=True,
    metavar="URL",
    help="A running server, http://HOST:PORT or grpc://HOST:PORT; repeat for both. "
    "Without it, a server of our own is started.",
)
output_format = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print the answer.",
)
sample_seed = click.option(
    "--sample-seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Seed of the sample inputs.",
)


def tolerance(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--atol` and `--rtol`."""
    help_text = "{} tolerance; without it the dtype's (parity: what the build was given)."
    for name, kind in (("--rtol", "Relative"), ("--atol", "Absolute")):
        option = click.option(name, type=click.FloatRange(min=0), help=help_text.format(kind))
        function = option(function)
    return function
