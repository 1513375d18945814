"""A message while it is read."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tritonforge.pbtxt.editing.paths import Key
from tritonforge.pbtxt.strict.known import Known


@dataclass(frozen=True, slots=True)
class Renamed:
    """A field whose name is none, read as the one that was surely meant into a message apart.

    `flaw` is the number of the flaw that tells it.
    """

    meant: Known
    into: Any
    flaw: int


@dataclass(frozen=True, slots=True)
class Body:
    """A message that is being read, and what was given of it so far.

    No `path` leads into one whose values are not kept; that of a map's entry is the map's.
    """

    into: Any
    path: str | None
    is_entry: bool = False
    given: Counter[str] = field(default_factory=Counter)
    renamed: list[Renamed] = field(default_factory=list)

    @property
    def descriptor(self) -> Any:
        """Return what the schema says of it."""
        return self.into.DESCRIPTOR

    def apart(self) -> "Body":
        """Return a body to read what is not kept, or not yet."""
        return Body(type(self.into)(), None, is_entry=self.is_entry)

    def below(self, known: Known) -> str | None:
        """Return the path of a field's next value; None below an entry whose key is not read."""
        if self.path is None:
            return None
        if self.is_entry:
            is_told = known.name == "value" and self.given["key"]
            return f"{self.path}{Key(text=str(self.into.key))}" if is_told else None
        here = f"{self.path}.{known.name}".removeprefix(".")
        several = known.is_repeated and not known.is_map
        return f"{here}[{self.given[known.name]}]" if several else here

    def stands(self, known: Known) -> bool:
        """Say whether a field that takes one value has one.

        A number, a string or an enum of its default counts for nothing, as the server has it.
        """
        if self.is_entry:
            return self.given[known.name] > 0
        if known.has_presence:
            return bool(self.into.HasField(known.name))
        return bool(getattr(self.into, known.name) != known.default)

    def rival(self, known: Known) -> str | None:
        """Return the field that stands and excludes another."""
        return self.into.WhichOneof(known.choice) if known.choice else None

    def mended(self) -> list[int]:
        """Keep what was meant where nothing else says it; return the flaws that cannot be mended.

        A field that stands, or that two names mean, is no matter of a new name.
        """
        meanings = Counter(each.meant.name for each in self.renamed)
        left = []
        for each in self.renamed:
            name = each.meant.name
            if name in self.given or self.rival(each.meant):
                left.append(each.flaw)
                continue
            if meanings[name] > 1:
                left.append(each.flaw)
            self.into.MergeFrom(each.into)
        return left
