"""What a model's file says, asked of a process of its own: what goes to it, and what comes back.

That one imports what is here and below alone, a start of it being most of what a lone file takes.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from tritonforge import plain
from tritonforge.errors import GraphError
from tritonforge.facts.told import Asked, Facts, told
from tritonforge.release import find


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What becomes of a file: its facts, and whether they depend on other files; or its fault."""

    facts: Facts | None = None
    depends: bool = False
    fault: str | None = None
    hint: str | None = None


def question(path: Path, thin: bytes, asked: Asked) -> bytes:
    """Write what `answer` reads: a line of JSON, then what was read of the file."""
    said = [str(path), asked.release.tag, asked.accelerator, asked.may_use_gpu]
    return json.dumps(said).encode() + b"\n" + thin


def answer(question: bytes) -> bytes:
    """Work out what a file says, in a process of its own."""
    said, _, thin = question.partition(b"\n")
    path, tag, accelerator, gpu = json.loads(said)
    asked = Asked(release=find(tag), accelerator=accelerator, may_use_gpu=gpu)
    try:
        found, depends = told(Path(path), thin, asked)
    except GraphError as error:
        return plain.as_json(_Answer(fault=error.message, hint=error.hint))
    return plain.as_json(_Answer(facts=found, depends=depends))


def heard(text: bytes) -> tuple[Facts, bool]:
    """Read what `answer` wrote; raises its `GraphError`."""
    answer = plain.from_json(_Answer, text)
    if answer.facts is None:
        raise GraphError(answer.fault or "", hint=answer.hint)
    return answer.facts, answer.depends
