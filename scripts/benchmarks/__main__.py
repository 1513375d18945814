"""Measure tritonforge against the bare tools it is made of, in pairs within one run.

A machine's speed drifts, so what is compared runs in turn, and the ratio is taken pair by pair;
the median of the ratios is printed beside its goal.
"""

import sys
from collections.abc import Callable, Iterator

import building
import checking
import serving
from lines import Line


def foresee() -> Iterator[Line]:
    """Hold what is foretold of models against real wheels, see the module of that name."""
    from foresee import foresee as measured

    yield from measured()


BENCHMARKS: dict[str, Callable[[], Iterator[Line]]] = {
    "help": building.help_start,
    "build": building.build,
    "bert": building.bert,
    "big": building.big,
    "jobs": building.jobs,
    "unchanged": building.unchanged,
    "serve": serving.serve,
    "mlp": serving.mlp,
    "defaults": serving.defaults,
    "check": checking.check,
    "foresee": foresee,
}


def main() -> None:
    """Run the benchmarks that are named, all by default; exit 1 where a goal is not met."""
    met = True
    for name in sys.argv[1:] or BENCHMARKS:
        for line in BENCHMARKS[name]():
            print(line, flush=True)
            met = met and line.met
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
