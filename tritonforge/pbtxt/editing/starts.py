"""Where in a config's text something begins."""

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.editing import paths, tree
from tritonforge.pbtxt.editing.places import Place, find, legs
from tritonforge.pbtxt.editing.tree import Message


def start(text: str, path: str) -> int:
    """Return where what a path leads to begins: its field's name, of a list the element.

    All elements of a field begin with the first. Where the text does not hold it, that is what
    holds most of the way there, else the beginning.
    Raises `ConfigError` for a text that cannot be read.
    """
    body = tree.read(text)
    steps = paths.parse(path) if path else ()
    for length in range(len(steps), 0, -1):
        place = _find(text, body, steps[:length])
        if place is None or place.rest or not place.elements:
            continue
        if place.is_several:
            return place.fields[0].start
        last = place.elements[-1]  # of a key that stands twice the last counts
        return last.field.start if last.index is None else last.value.start
    return body.fields[0].start if body.fields else 0


def _find(text: str, body: Message, steps: tuple[paths.Step, ...]) -> Place | None:
    """Find a place, None where the text cannot be asked for it."""
    try:
        return find(text, body, legs(steps)[0], "config.pbtxt")
    except ConfigError:
        return None
