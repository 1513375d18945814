"""What a model's file says, whatever its config: plain data, of the file's content alone."""

from tritonforge.facts.answering import answer, heard, question
from tritonforge.facts.told import Asked, Facts, told

__all__ = ["Asked", "Facts", "answer", "heard", "question", "told"]
