"""Rules of a model as it lies in its folder: its text, names, versions and files."""

from tritonforge.rules.folder import (
    bounds,
    external,
    fields,
    filling,
    fitting,
    given,
    labels,
    landing,
    layout,
    operators,
    overlooked,
    proofs,
    scripts,
    serving,
    syntax,
    versions,
    written,
)

FAMILIES = (
    *(bounds, syntax, fields, layout, versions, overlooked),
    *(fitting, filling, serving, labels, given, written),
    *(operators, landing, external, proofs, scripts),
)
