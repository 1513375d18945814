"""Rules of a model as it lies in its folder: its text, names, versions and files."""

from tritonforge.rules.folder import fields, layout, syntax

FAMILIES = (syntax, fields, layout)
