"""The sizes that a dynamic dimension takes."""

from dataclasses import dataclass

from tritonforge.errors import SpecError
from tritonforge.spec.written import split


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The sizes that a dynamic dimension takes, both ends included; `high` None is no limit.

    `step` leaves out all but every so many-th from `low` on: a U-Net wants multiples of 32. `opt`
    is the size that most requests have, for which TensorRT tunes its engines.
    """

    low: int = 1
    high: int | None = None
    step: int = 1
    opt: int | None = None

    def __post_init__(self) -> None:
        if self.low < 1:
            raise SpecError(f"a dimension cannot be smaller than 1, got {self.low}")
        if self.high is not None and self.high < self.low:
            raise SpecError(f"the range {self.low}..{self.high} is empty")
        if self.step < 1:
            raise SpecError(f"the step of a range is 1 or more, got {self.step}")
        if self.opt is not None and self.opt not in self:
            every = f" in steps of {self.step}" if self.step > 1 else ""
            raise SpecError(
                f"the optimum {self.opt} is not within {self}",
                hint=f"name one of the sizes from {self.low} on{every}",
            )

    @classmethod
    def parse(cls, text: str) -> "tuple[str, Range]":
        """Read `seq=1..512`, `seq=32`, `h=32..512:32` (every 32nd), `seq=1..512@128` (its optimum).

        Raises `SpecError`.
        """
        name, rest = split(text, "--range", "seq=1..512")
        rest, at, opt = rest.partition("@")
        ends, colon, step = rest.partition(":")
        low, dots, high = ends.partition("..")
        try:
            return name, cls(
                low=int(low),
                high=int(high if dots else low),
                step=int(step) if colon else 1,
                opt=int(opt) if at else None,
            )
        except ValueError as error:
            raise SpecError(
                f"cannot read --range {text!r}",
                hint="write seq=1..512, h=32..512:32 or seq=1..512@128",
            ) from error

    def __contains__(self, size: int) -> bool:
        """Say whether a size is one that the dimension takes."""
        fits = self.low <= size and (self.high is None or size <= self.high)
        return fits and size == self.nearest(size)

    def __str__(self) -> str:
        high, step = "" if self.high is None else self.high, f":{self.step}" * (self.step > 1)
        opt = "" if self.opt is None else f"@{self.opt}"
        return f"{self.low}..{high}{step}{opt}"

    @property
    def largest(self) -> int | None:
        """Return the last size of the range's steps, None without a limit."""
        return None if self.high is None else self.nearest(self.high)

    @property
    def optimum(self) -> int | None:
        """Return the size to tune for: `opt`, else the largest; None where there is neither.

        Requests of the largest size take longest, and a batcher under load fills its batches.
        """
        return self.largest if self.opt is None else self.opt

    def nearest(self, size: int) -> int:
        """Return the largest size of the range's steps that is not above `size`, at least `low`."""
        return self.low + max(size - self.low, 0) // self.step * self.step
