"""Where a reader stands in the words of a text, and what it has found wrong so far."""

import re
from typing import NoReturn

from tritonforge.pbtxt.strict import templates
from tritonforge.pbtxt.strict.flaw import Flaw, Kind
from tritonforge.pbtxt.strict.words import Word, place, words

_MOST = 100  # flaws of one text; nobody reads on
_DEEPEST = 100  # messages in messages that nobody knows
_LONGEST = 40  # characters of a word that are shown
CLOSING = {b"{": b"}", b"<": b">", b"[": b"]"}
_TAKEN = re.compile(rb"[ \t\r\v\f]*#[^\n\]}]*([\]}])")  # a bracket in a comment behind a word


class Stop(Exception):  # noqa: N818 - it ends the reading, and is no error of ours
    """What is behind cannot be read."""


class Cursor:
    """A position in a text; each method reads on from there."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.flaws: list[Flaw] = []
        self.words = words(text)
        self.word = Word("end", 0, 0, b"")
        self.read_to = 0

    @property
    def said(self) -> bytes:
        """Return the text of the word that comes next."""
        return self.word.text

    def take(self) -> Word:
        """Go past a word and return it; what the next one is blemished by is told at once."""
        taken, self.word = self.word, next(self.words)
        self.read_to = taken.end
        for each in self.word.blemishes:
            where = place(self.text, each.at)
            self._keep(Flaw(kind="broken", said=each.said, at=where, told=where))
            if each.final:
                raise Stop
        return taken

    def is_at(self, *marks: bytes) -> bool:
        """Say whether one of these marks comes next."""
        return self.word.text in marks  # which no name and no string can be

    def is_a(self, *kinds: str) -> bool:
        """Say whether a word of one of these kinds comes next."""
        return self.word.kind in kinds

    def takes(self, mark: bytes) -> bool:
        """Go past a mark where it comes next, and say whether it did."""
        if self.word.text != mark:
            return False
        self.take()
        return True

    def flaw(
        self,
        kind: Kind,
        said: str,
        at: int,
        told: int | None = None,
        edits: tuple[tuple[str, str | None], ...] = (),
    ) -> None:
        """Take down a flaw of the word at a byte; the server tells it there, or at `told`.

        Of a word whose blemishes were told nothing more is.
        """
        if told is None and at == self.word.start and self.word.blemishes:
            return
        where = place(self.text, at)
        there = where if told is None else place(self.text, told)
        self._keep(Flaw(kind=kind, said=said, at=where, told=there, edits=edits))

    def _keep(self, flaw: Flaw) -> None:
        self.flaws.append(flaw)
        if len(self.flaws) == _MOST:
            raise Stop

    def broken(self, said: str) -> NoReturn:
        """Take down that nothing can be read from the next word on."""
        taken = _TAKEN.match(self.text, self.read_to, self.word.start)
        if taken:
            line = place(self.text, taken.start(1))[0]
            said += f"; a comment takes the {taken[1].decode()!r} of line {line} away"
        self.flaw("broken", said, self.word.start)
        raise Stop

    def passes_placeholder(self, name: str) -> bool:
        """Take down a place of a template where the value of a field should be, and go past it."""
        found = templates.marked(self.text, self.word.start)
        if found:
            said = f"{name} still says {_shortened(found)}: fill the template in"
            self.flaw("unfilled", said, self.word.start)
            self._pass(self.word.start + len(found))
        return bool(found)

    def is_begun(self, name: str, word: Word) -> bool:
        """Take down a name that a template wants to be completed, such as TYPE_${DTYPE}."""
        found = templates.lacking(self.text, word.end)
        if found:
            said = f"{name} still says {_shortened(word.text + found)}: fill the template in"
            self.flaw("unfilled", said, word.start, self.word.start)
            self._pass(word.end + len(found))
        return bool(found)

    def _pass(self, end: int) -> None:
        """Go past the words before a byte."""
        while self.word.start < end and not self.is_a("end"):
            self.take()

    def shown(self, word: Word | None = None) -> str:
        """Return a word as a message shows it, by default the next one."""
        word = word or self.word
        if word.kind == "end":
            return "the end of the text"
        short = _shortened(word.text)
        return short if word.kind == "string" else repr(short)

    def line(self, word: Word) -> int:
        """Return the line of a word."""
        return self.text.count(b"\n", 0, word.start) + 1

    def skip(self, depth: int = 0, *, has_colon: bool = True) -> None:
        """Go past a value, whatever it is; without a colon, messages or a list of them."""
        if self.is_at(b"{", b"<"):
            self._skip_message(depth)
        elif self.is_at(b"["):
            self._skip_list(depth, has_colon=has_colon)
        elif not has_colon:
            self.broken(f"':' is wanted here, not {self.shown()}")
        elif self.is_a("string"):
            while self.is_a("string"):
                self.take()
        else:
            self.takes(b"-")
            if self.is_a("mark", "end"):
                self.broken(f"a value is wanted here, not {self.shown()}")
            self.take()

    def _skip_message(self, depth: int) -> None:
        """Go past a message of fields that nobody knows."""
        if depth == _DEEPEST:
            self.broken(f"messages lie more than {_DEEPEST} deep here")
        opening = self.take()
        while not self.is_at(b"}", b">"):
            self.name(opening)
            self.skip(depth + 1, has_colon=self.takes(b":"))
            self.part()
        self.close(opening)

    def _skip_list(self, depth: int, *, has_colon: bool) -> None:
        """Go past a list, which holds no lists."""
        opening = self.take()
        if self.takes(b"]"):
            return
        while True:
            if self.is_at(b"["):
                self.broken("a list holds no lists")
            self.skip(depth + 1, has_colon=has_colon)
            if not self.goes_on(opening):
                return

    def goes_on(self, opening: Word) -> bool:
        """Go past what follows an element of a list, and say whether it is not the end of it."""
        if self.takes(b"]"):
            return False
        if self.is_a("end"):
            self.unclosed(opening)
        if not self.takes(b","):
            self.broken(f"',' or ']' is wanted here, not {self.shown()}")
        if not self.is_at(b"]"):
            return True
        said = "a comma before ']' wants another element: take it out"
        self.flaw("broken", said, self.word.start)
        self.take()
        return False

    def part(self) -> None:
        """Go past what may part fields."""
        if not self.takes(b";"):
            self.takes(b",")

    def name(self, opening: Word | None) -> Word:
        """Take the name of a field, within a message that was opened or a whole text."""
        if self.is_at(b"["):
            return self._extension()
        if self.is_a("name"):
            return self.take()
        if self.is_a("end") and opening is not None:
            self.unclosed(opening)
        if self.is_at(b"}", b">", b"]"):
            said = f"{self.shown()} closes nothing here"
        elif found := templates.marked(self.text, self.word.start):
            said = f"fill in {_shortened(found)} of the template"
            self.flaw("unfilled", said, self.word.start)
            raise Stop
        else:
            said = f"the name of a field is wanted here, not {self.shown()}"
        return self.broken(said)

    def _extension(self) -> Word:
        """Take a name in square brackets, which no field of a config has."""
        start = self.take()
        while True:
            if not self.is_a("name"):
                self.broken(f"the name of a field is wanted here, not {self.shown()}")
            self.take()
            if not self.takes(b"."):
                break
        if not self.is_at(b"]"):
            self.broken(f"']' is wanted here, not {self.shown()}")
        end = self.take().end
        return Word("name", start.start, end, self.text[start.start : end])

    def close(self, opening: Word) -> None:
        """Take the mark that closes what another opened."""
        opened = opening.text
        if not self.is_at(CLOSING[opened]):
            self.broken(
                f"{CLOSING[opened].decode()!r} is wanted here, as {opened.decode()!r} opens on line"
                f" {self.line(opening)}; not {self.shown()}"
            )
        self.take()

    def unclosed(self, opening: Word) -> NoReturn:
        """Take down that the text ends within brackets."""
        mark = opening.text.decode()
        self.broken(f"the text ends before the {mark!r} of line {self.line(opening)} is closed")


def _shortened(text: bytes) -> str:
    """Return a text as a message shows it."""
    said = text.decode("utf-8", "replace")
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
