"""Optimization profiles of TensorRT: for which sizes of its inputs an engine is built and tuned.

ONNX Runtime takes them as three texts. Where one is malformed, or misses an input, it only warns,
and builds engines while it answers requests: so nothing is left out here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from tritonforge.errors import SpecError
from tritonforge.spec import Range
from tritonforge.tensors import TensorSpec

Shapes = Mapping[str, tuple[int, ...]]
_WIDEST = 2**31 - 1  # ONNX Runtime reads each number as an int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The sizes of the dynamic dimensions that an engine takes at least, is tuned for, and at most.

    `inputs` are those with dynamic dimensions.
    """

    inputs: tuple[TensorSpec, ...]
    smallest: Mapping[str, int]
    optimum: Mapping[str, int]
    largest: Mapping[str, int]

    @property
    def min(self) -> Shapes:
        """Return the full shape of each input at its smallest."""
        return self._shapes(self.smallest)

    @property
    def opt(self) -> Shapes:
        """Return the full shape of each input that the engine is tuned for."""
        return self._shapes(self.optimum)

    @property
    def max(self) -> Shapes:
        """Return the full shape of each input at its largest."""
        return self._shapes(self.largest)

    def _shapes(self, sizes: Mapping[str, int]) -> Shapes:
        return {each.name: each.shape(sizes) for each in self.inputs}


def profiles(
    inputs: tuple[TensorSpec, ...],
    ranges: Mapping[str, Range],
    max_batch_size: int,
    batch: str | None,
    several: tuple[Mapping[str, Range], ...] = (),
) -> tuple[Profile, ...]:
    """Return one profile for the whole of the ranges, or one for each of `several`.

    Each of those names dimensions that are narrower in it. The batch goes from 1 to
    `max_batch_size`, whatever a range says of it but its optimum, and is a dimension as any other
    where that is 0. Without dynamic inputs there is no profile. Raises `SpecError` for a dimension
    without an upper end, and for a narrower range that is no part of the model's.
    """
    dynamic = tuple(each for each in inputs if each.dynamic)
    known = dict(ranges)
    if batch is not None and max_batch_size:
        known[batch] = _batches(known.get(batch), max_batch_size)
    names = dict.fromkeys(dim for each in dynamic for dim in each.dynamic)
    whole = {name: _bounded(name, known.get(name)) for name in names}
    for part in several:
        if unknown := [name for name in part if name not in whole]:
            raise SpecError(
                f"a profile names the dimension {unknown[0]!r}, which no input has",
                hint=f"the dynamic dimensions are {', '.join(whole) or 'none'}",
                at=("profiles",),
            )
    if not dynamic:
        return ()
    made = [{**whole, **dict(_narrowed(whole, part))} for part in several] or [whole]
    _check_covered(whole, made)
    return tuple(_profile(dynamic, each) for each in made)


def texts(profiles: tuple[Profile, ...]) -> dict[str, str]:
    """Return the provider options of ONNX Runtime that say them, none without profiles.

    An input stands there once for each profile, in their order. Raises `SpecError` for a name that
    cannot be written so.
    """
    for name in {each.name for profile in profiles for each in profile.inputs}:
        if not name or {":", ","} & set(name):
            raise SpecError(
                f"the input name {name!r} cannot stand in a profile of TensorRT,"
                " where ':' and ',' separate names from shapes",
                hint="rename the input in the model",
            )
    if not profiles:
        return {}
    return {
        "trt_profile_min_shapes": _text([each.min for each in profiles]),
        "trt_profile_opt_shapes": _text([each.opt for each in profiles]),
        "trt_profile_max_shapes": _text([each.max for each in profiles]),
    }


def _batches(said: Range | None, maximum: int) -> Range:
    """Return the range of the batch; raises `SpecError` for an optimum out of it."""
    wanted = None if said is None else said.opt
    if wanted is not None and not 1 <= wanted <= maximum:
        raise SpecError(
            f"the optimum batch {wanted} is not within 1..{maximum}",
            hint="name one up to --max-batch-size",
        )
    return Range(low=1, high=maximum, opt=wanted)


def _check_covered(whole: Mapping[str, Range], made: Sequence[Mapping[str, Range]]) -> None:
    """Raise `SpecError` where profiles leave out sizes: TensorRT would build engines for them.

    Between the ends of profiles nothing changes, so the sizes at those ends and next to them tell.
    """
    parted = [name for name in whole if any(part[name] != whole[name] for part in made)]
    tried = [_telling(whole[name], [part[name] for part in made]) for name in parted]
    for sizes in product(*tried):
        point = dict(zip(parted, sizes, strict=True))
        if not any(_holds(part, point) for part in made):
            raise SpecError(
                "the profiles leave out "
                + ", ".join(f"{name} {size}" for name, size in point.items()),
                hint="widen them, or add one: TensorRT would build an engine while it serves",
                at=("profiles",),
            )


def _telling(whole: Range, parts: Iterable[Range]) -> list[int]:
    """Return the sizes of a range at which a profile begins or ends, and those next to them."""
    ends = {size for each in parts for size in (each.low, each.largest or each.low)}
    near = {end + step for end in ends for step in (-whole.step, 0, whole.step)}
    return sorted(size for size in near if size in whole)


def _holds(part: Mapping[str, Range], point: Mapping[str, int]) -> bool:
    """Say whether a profile covers a point."""
    return all(
        part[name].low <= size <= (part[name].largest or size) for name, size in point.items()
    )


def _bounded(name: str, known: Range | None) -> Range:
    """Return the range of a dimension; raises `SpecError` where it has no upper end."""
    if known is None or known.high is None:
        what = "range" if known is None else "upper end"
        raise SpecError(
            f"TensorRT needs the sizes of the dimension {name!r}, which has no {what}",
            hint=f"give --range {name}={known.low if known else 1}..512",
            at=("ranges", name),
        )
    if known.high > _WIDEST:
        raise SpecError(
            f"the dimension {name!r} goes up to {known.high}, which ONNX Runtime cannot read",
            hint=f"bound it by {_WIDEST} or less: --range {name}={known.low}..512",
        )
    return known


def _narrowed(whole: Mapping[str, Range], part: Mapping[str, Range]) -> Iterator[tuple[str, Range]]:
    """Yield the narrower ranges of a profile, on the steps and with the optimum of the model's."""
    for name, wanted in part.items():
        model, high = whole[name], wanted.high
        step = model.step if wanted.step == 1 else wanted.step
        inside = high is not None and wanted.low in model and high <= (model.high or high)
        if not inside or step % model.step:
            raise SpecError(
                f"the profile's range {name}={wanted} is not part of the model's, {name}={model}",
                hint="narrow it, or widen the model's by --range",
                at=("profiles",),
            )
        sizes = replace(wanted, opt=None, step=step)
        if wanted.opt is not None and wanted.opt not in sizes:
            raise SpecError(
                f"the profile's optimum {wanted.opt} is not within {name}={sizes}",
                hint=f"the sizes of {name} go in steps of {step}",
            )
        common = model.opt if model.opt is not None and model.opt in sizes else None
        yield name, replace(sizes, opt=common if wanted.opt is None else wanted.opt)


def _profile(inputs: tuple[TensorSpec, ...], ranges: Mapping[str, Range]) -> Profile:
    """Make the profile of ranges that all have an upper end."""
    return Profile(
        inputs=inputs,
        smallest={name: each.low for name, each in ranges.items()},
        optimum={name: each.optimum or each.low for name, each in ranges.items()},
        largest={name: each.largest or each.low for name, each in ranges.items()},
    )


def _text(shapes: list[Shapes]) -> str:
    """Write shapes as ONNX Runtime reads them: `x:1x3x224x224,ids:1x1`, then the next profile's."""
    return ",".join(
        f"{name}:{'x'.join(map(str, dims))}" for each in shapes for name, dims in each.items()
    )
