"""Messages and fields, as the server's reader takes them, and what it would not take.

It stops at the first fault; here reading goes on wherever what follows can still be told.

Source: protobuf, `text_format.cc` (ConsumeField, ConsumeMessage).
"""

from dataclasses import replace
from typing import Any

from google.protobuf.message_factory import GetMessageClass

from tritonforge.pbtxt.strict import guesses
from tritonforge.pbtxt.strict.body import Body, Renamed
from tritonforge.pbtxt.strict.cursor import Cursor
from tritonforge.pbtxt.strict.known import Known, came, fields, owner, owners
from tritonforge.pbtxt.strict.scalars import NONE, scalar
from tritonforge.pbtxt.strict.words import Word

_FEW = 3  # places of a field that are named


class Reader(Cursor):
    """A reader of a config for the Triton of a release."""

    def __init__(self, text: bytes, triton: str | None) -> None:
        super().__init__(text)
        self.triton = triton

    def whole(self, into: Any) -> None:
        """Read a whole text."""
        self.take()  # to the first word
        self._fields(Body(into, ""), None)

    def _fields(self, body: Body, opening: Word | None) -> None:
        """Read fields up to the mark that closes a message, or to the end of the text."""
        known = fields(body.descriptor, self.triton)
        while True:
            if self.is_a("end") and opening is None:
                break
            if opening is not None and self.is_at(b"}", b">"):
                self.close(opening)
                break
            name = self.name(opening)
            said = name.text.decode("utf-8", "replace")
            field = known.get(said)
            if field is None:
                self._unknown(body, name, said)
            else:
                if field.since is not None:
                    self._newer(body, name, field)
                self._field(body, field, name)
                body.given[said] += 0  # a list without elements stands there too
            self.part()
        for number in body.mended() if body.renamed else ():
            self.flaws[number] = replace(self.flaws[number], edits=())

    def _newer(self, body: Body, name: Word, field: Known) -> None:
        """Take down a field that came after the release; of one not even installed that is all."""
        said = (
            f"{owner(body.descriptor)} has no field {field.name!r} in Triton {self.triton}:"
            f" it {came(field.since or '')}"
        )
        self.flaw("newer" if field.kind else "unknown", said, name.start, self.word.start)

    def _unknown(self, body: Body, name: Word, said: str) -> None:
        """Take down a field that nobody knows, and read it as the one that was surely meant."""
        known = fields(body.descriptor, self.triton)
        others = [each.name for each in known.values() if each.since is None]
        guess = guesses.near(said, others, is_a_name=bool(owners(said)))
        if body.is_entry and not (guess and guess.is_sure):
            self._no_entry(body, name, said)
            return
        hint = "" if guess and guess.is_sure else _elsewhere(said, owner(body.descriptor))
        hint = f"did you mean {guess.name!r}?" if guess and not hint else hint
        text = f"{owner(body.descriptor)} has no field {said!r}{f': {hint}' if hint else ''}"
        self.flaw("unknown", text, name.start, self.word.start)
        if guess is None or not guess.is_sure or known[guess.name].kind is None:
            self.skip(has_colon=self.takes(b":"))
            return
        number, start = len(self.flaws) - 1, self.word.start
        apart = body.apart()
        self._field(apart, known[guess.name], name)
        body.renamed.append(Renamed(known[guess.name], apart.into, number))
        value = (
            self.text[start : self.read_to].removeprefix(b":").strip().decode("utf-8", "replace")
        )
        is_sound = len(self.flaws) == number + 1 and "\ufffd" not in value
        if is_sound and body.path is not None and not body.is_entry:
            before = f"{body.path}." if body.path else ""
            edits = ((f"{before}{said}", None), (f"{before}{guess.name}", value))
            self.flaws[number] = replace(self.flaws[number], edits=edits)

    def _no_entry(self, body: Body, name: Word, said: str) -> None:
        """Take down once a field that is written where an entry of a map has key and value."""
        inside = body.descriptor.fields_by_name["value"].message_type
        only = "string_value" if inside and "string_value" in inside.fields_by_name else ""
        value = f"value {{ {f'{only}: ' if only else ''}... }}" if inside else 'value: "..."'
        text = f'{owner(body.descriptor)} has no field {said!r}: an entry is key: "..." {value}'
        if all(each in {"key", "value"} for each in body.given):
            self.flaw("unknown", text, name.start, self.word.start)
        body.given[said] += 0
        self.skip(has_colon=self.takes(b":"))

    def _field(self, body: Body, field: Known, name: Word) -> None:
        """Read the value, or the values, of a field that is known."""
        if not field.is_repeated and self._is_refused(body, field, name):
            body = body.apart()
        has_colon = self.takes(b":")
        if not has_colon and field.kind not in {"message", None}:
            self.broken(f"':' is wanted between {field.name} and its value, not {self.shown()}")
        if field.kind is None:
            self.skip(has_colon=has_colon)
        elif field.is_repeated and self.is_at(b"["):
            self._list(body, field)
        else:
            self._value(body, field)

    def _list(self, body: Body, field: Known) -> None:
        """Read the values between square brackets."""
        opening = self.take()
        if self.takes(b"]"):
            return
        while True:
            self._value(body, field)
            if self.is_a("name") and field.kind == "message":
                self._is_closed_early(field)
            if not self.goes_on(opening):
                return

    def _is_closed_early(self, field: Known) -> None:
        """Stop at a field that follows an element of a list, which it was probably meant for."""
        if self.said.decode() in fields(field.message, self.triton):
            said = f"',' or ']' is wanted here, not {self.shown()}"
            self.broken(f"{said}: a '}}' too many closes this element of {field.name} before it")

    def _is_refused(self, body: Body, field: Known, name: Word) -> bool:
        """Tell a field that has its one value, or is excluded by another; say whether it is so."""
        if field.kind is None:
            return False
        if body.stands(field):
            self.flaw("twice", f"{field.name} is given twice", name.start, self.word.start)
            return True
        other = body.rival(field)
        if other is not None:
            said = f"{field.name} is given beside {other}, and the one excludes the other"
            self.flaw("choice", said, name.start, self.word.start)
        return other is not None

    def _value(self, body: Body, field: Known) -> None:
        """Read one value and keep it."""
        path = body.below(field)
        body.given[field.name] += 1
        if field.kind == "message":
            self._message(body, field, path)
            return
        value = scalar(self, field, path, self.triton)
        if value is NONE:
            return
        if field.is_repeated:
            getattr(body.into, field.name).append(value)
        else:
            setattr(body.into, field.name, value)

    def _message(self, body: Body, field: Known, path: str | None) -> None:
        """Read a message, which may be an entry of a map."""
        if not self.is_at(b"{", b"<"):
            self._no_message(field)
            return
        opening, held = self.take(), getattr(body.into, field.name)
        if field.is_map:
            self._entry(held, path, field, opening)
        elif field.is_repeated:
            self._fields(Body(held.add(), path), opening)
        else:
            held.SetInParent()
            self._fields(Body(held, path), opening)

    def _entry(self, held: Any, path: str | None, field: Known, opening: Word) -> None:
        """Read an entry of a map; one that comes later takes the place of its key's."""
        entry = GetMessageClass(field.message)()
        flaws = len(self.flaws)
        body = Body(entry, path, is_entry=True)
        self._fields(body, opening)
        if "key" not in body.given and len(self.flaws) > flaws:
            return  # what it is of nobody knows
        if entry.key in held and held[entry.key] != entry.value and len(self.flaws) == flaws:
            said = f"{field.name} has the key {entry.key!r} twice, of which the last counts"
            self.flaw("key", said, opening.start)
        if field.message.fields_by_name["value"].message_type is not None:
            held[entry.key].CopyFrom(entry.value)
        else:
            held[entry.key] = entry.value

    def _no_message(self, field: Known) -> None:
        """Take down a value that should be a message, and go past it."""
        if self.passes_placeholder(field.name):
            return
        if self.is_a("end") or self.is_at(b"}", b">", b"]", b",", b";", b":"):
            self.broken(f"'{{' is wanted behind {field.name}, not {self.shown()}")
        said = f"{field.name} takes a message in braces, not {self.shown()}"
        if self.is_at(b"["):
            said = f"{field.name} takes one message, not a list"
        only = field.message.fields if len(field.message.fields) == 1 else ()
        if self.is_a("string") and only and only[0].name == "string_value":
            said += f": write {{ string_value: {self.shown()} }}"
        self.flaw("kind", said, self.word.start)
        self.skip()


def _elsewhere(name: str, message: str) -> str:
    """Say in what messages a field is known, in those within this one where it is there."""
    found = [each or "the config itself" for each in owners(name)]
    found = [each for each in found if each.startswith(f"{message}.")] or found
    if not found or len(found) > _FEW:
        return ""
    return f"{' and '.join(found)} {'has' if len(found) == 1 else 'have'} it"
