"""One line of the table, and how a ratio is taken on a machine that others use too."""

import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

PAIRS_WARM_UP = 2  # of every comparison: caches fill, statements are compiled

T = TypeVar("T")
Step = Callable[[T], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured; `ok` is None where nothing was asked."""

    name: str
    figure: str
    target: str
    ok: bool | None

    def __str__(self) -> str:
        verdict = {True: "ok", False: "MISSED", None: "-"}[self.ok]
        return f"{self.name:<72} {self.figure:>22}  {self.target:<11} {verdict}"


def report(figures: Iterable[Figure]) -> int:
    """Print them as they come; give 1 if a target is missed, as an exit status."""
    missed = 0
    for figure in figures:
        print(figure, flush=True)
        missed += figure.ok is False
    print(f"{missed} missed" if missed else "all met")
    return 1 if missed else 0


def at_least(name: str, ratio: float, least: float) -> Figure:
    return Figure(name, f"{ratio:.2f} x", f">= {least:g} x", ratio >= least)


def at_most(name: str, value: float, most: float, unit: str = "") -> Figure:
    digits = f"{value:.4g}" if value < 10_000 else f"{value:.0f}"
    return Figure(name, f"{digits} {unit}".strip(), f"<= {most:g} {unit}".strip(), value <= most)


class Times(NamedTuple):
    """Seconds on the clock and of CPU time, over all threads; or a ratio of each."""

    wall: float
    cpu: float


async def speed_ratio(ours: Step[T], reference: Step[T], samples: Iterable[T]) -> Times:
    """Say how much faster `ours` is than `reference`: the median over pairs run side by side.

    Both halves of a pair get the same sample, made outside of the clock. Whatever slows the machine
    slows both; the order changes from pair to pair, so that neither always runs in the other's wake.
    """
    ratios = []
    for number, sample in enumerate(samples):
        steps = (ours, reference) if number % 2 else (reference, ours)
        times = {step: await _times(step, sample) for step in steps}
        ratios.append([whole / part for whole, part in zip(times[reference], times[ours], strict=True)])
    return Times(*map(statistics.median, zip(*ratios[PAIRS_WARM_UP:], strict=True)))


async def _times(step: Step[T], sample: T) -> Times:
    begun = Times(time.perf_counter(), time.process_time())
    await step(sample)
    return Times(time.perf_counter() - begun.wall, time.process_time() - begun.cpu)
