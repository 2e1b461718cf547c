"""Runs every measurement and prints the table; exit status 1 when a target is missed."""

import sys
from itertools import chain

from bench import counts, memory, model, pipeline, plans, process, pruning, sending, size, writer
from bench.figures import report

THEMES = (counts, plans, writer, pipeline, size, pruning, memory, sending, model, process)


def main() -> int:
    return report(chain.from_iterable(theme.figures() for theme in THEMES))


if __name__ == "__main__":
    sys.exit(main())
