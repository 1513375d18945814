"""Rules of several models: the steps of ensembles, and what two models should not share."""

from tritonforge.rules.across import decoupled, engines, ensembles, threads

FAMILIES = (ensembles, decoupled, engines, threads)
