"""Runs every measurement and prints the table; exit status 1 when a target is missed."""

import sys

from bench import counts, memory, model, pipeline, plans, process, pruning, sending, size, writer

THEMES = (counts, plans, writer, pipeline, size, pruning, memory, sending, model, process)


def main() -> int:
    missed = 0
    for theme in THEMES:
        for figure in theme.figures():
            print(figure, flush=True)
            missed += figure.ok is False
    print(f"{missed} missed" if missed else "all met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
