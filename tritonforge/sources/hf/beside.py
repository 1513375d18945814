"""The files that lie beside a model's config, in its folder or on the hub."""

import json
from pathlib import Path
from typing import Any

from tritonforge.errors import SourceError
from tritonforge.sources.hf.place import Place


def read(place: Place, name: str) -> Any:
    """Return what a JSON file says, None where there is none; raises `SourceError`."""
    if place.folder is not None:
        path = place.folder / name
        found = str(path) if path.is_file() else None
    else:
        from transformers.utils import cached_file

        found = cached_file(
            place.name,
            name,
            revision=place.revision,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    if found is None:
        return None
    try:
        return json.loads(Path(found).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(
            f"cannot read {name} of {place.name}: {error}", hint="restore it, or take it away"
        ) from error


def table(place: Place, name: str) -> dict[str, Any]:
    """Return what a JSON file says as a table, an empty one where there is none."""
    said = read(place, name)
    return said if isinstance(said, dict) else {}
