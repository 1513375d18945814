"""Rules of a config alone: what the server checks of it before it looks at the model's file."""

from tritonforge.rules.config import batching

FAMILIES = (batching,)
