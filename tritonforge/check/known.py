"""What files say, asked once for each content: here, on disk, or of a process of its own."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import tritonforge
from tritonforge import facts
from tritonforge.check import remembering
from tritonforge.facts import Asked, Facts
from tritonforge.graph import lean
from tritonforge.sheltered import LostError, Shelter

_TOOLS = ("onnx", "protobuf")
_OWN = ("data", "facts", "graph", "placement")  # folders of what takes part, beside loose modules


class Known:
    """The facts of the files of one check, and on disk those of earlier ones.

    They are known again by what was read of a file, so that no date and no name matters.
    """

    def __init__(self, *, sheltered: bool = True) -> None:
        self.new = 0  # files that no check has known yet
        self._found: dict[str, Facts] = {}
        self._lost: dict[str, LostError] = {}
        self._disk = remembering.Shelf(remembering.folder(), Facts)
        self._shelter = Shelter(facts.answer) if sheltered else None

    def of(self, path: Path, asked: Asked) -> Facts:
        """Return the facts of a file; raises `GraphError` as `lean.read`, and `LostError`."""
        thin = lean.thin(path)
        key = _key(thin, asked)
        found = self._found.get(key) or self._disk.get(key)
        if found is None:
            found, depends = self._new(key, path, thin, asked)
            self.new += 1
            if depends:
                return found
            self._disk.put(key, found)
        self._found[key] = found
        return found

    def _new(self, key: str, path: Path, thin: bytes, asked: Asked) -> tuple[Facts, bool]:
        """Work out what no check has known yet, once also where that ends the worker."""
        if key in self._lost:
            raise self._lost[key]
        if self._shelter is None:
            return facts.told(path, thin, asked)
        try:
            answer = self._shelter(facts.question(path, thin, asked))
        except LostError as error:
            self._lost[key] = error
            raise
        return facts.heard(answer)

    def close(self) -> None:
        """Forget on disk what is too much, and end what worked facts out."""
        self._disk.sweep()
        if self._shelter is not None:
            self._shelter.close()


def _key(thin: bytes, asked: Asked) -> str:
    """Return what tells a file's facts from others."""
    digest = hashlib.sha256(thin)
    digest.update(
        f"{asked.release.tag} {asked.accelerator} {asked.may_use_gpu} {_ourselves()}".encode()
    )
    return digest.hexdigest()


@cache
def _ourselves() -> str:
    """Return the hash of the code and tables that facts come of, and of the libraries' versions."""
    root = Path(tritonforge.__file__).parent
    digest = hashlib.sha256(" ".join(map(version, _TOOLS)).encode())
    own = [each for name in _OWN for each in (root / name).rglob("*")]
    for path in sorted([*root.glob("*.py"), *own]):
        if path.suffix in {".py", ".json"}:
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
