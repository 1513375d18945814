"""Rules of the comments that silence what other rules find."""

from tritonforge.rules.comment import silencing

FAMILIES = (silencing,)
