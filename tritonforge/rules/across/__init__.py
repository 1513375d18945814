"""Rules of several models: the steps of ensembles, and what two models should not share."""

from tritonforge.rules.across import engines, ensembles

FAMILIES = (ensembles, engines)
