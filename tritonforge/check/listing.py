"""What lies in a model's folder, as far as it may be read and is read."""

from dataclasses import dataclass
from pathlib import Path

from tritonforge.repository import reading

_MOST_INSIDE = 100_000  # names in all folders of a model


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Names in a folder and in those in it, folders with a slash behind; see `rules.Model`."""

    entries: tuple[str, ...]
    inside: dict[str, tuple[str, ...]]
    broken: tuple[str, ...]
    closed: dict[str, str]
    cut: tuple[str, ...]


def listing(folder: Path) -> Listing:
    """List a model's folder; of very many names in all folders of it those behind are left out."""
    inside: dict[str, tuple[str, ...]] = {}
    closed: dict[str, str] = {}
    cut: list[str] = []
    left = _MOST_INSIDE

    def of(name: str, most: int) -> tuple[str, ...]:
        try:
            found = reading.names(folder / name, most + 1)
        except OSError as error:
            closed[name] = error.strerror or str(error)
            return ()
        if len(found) > most:
            cut.append(name)
        return found[:most]

    entries = of("", reading.MOST_NAMES)
    for each in entries:
        if each.endswith("/"):
            inside[each] = of(each, min(left, reading.MOST_NAMES))
            left -= len(inside[each])
    broken = () if closed.get("") else reading.broken(folder)
    return Listing(entries=entries, inside=inside, broken=broken, closed=closed, cut=tuple(cut))
