"""One line of the table, and how a ratio is taken on a machine that others use too."""

import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

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
        return f"{self.name:<66} {self.figure:>22}  {self.target:<11} {verdict}"


def at_least(name: str, ratio: float, least: float) -> Figure:
    return Figure(name, f"{ratio:.2f} x", f">= {least:g} x", ratio >= least)


def at_most(name: str, value: float, most: float, unit: str = "") -> Figure:
    return Figure(name, f"{value:.4g} {unit}".strip(), f"<= {most:g} {unit}".strip(), value <= most)


async def speed_ratio(ours: Step[T], reference: Step[T], samples: Iterable[T]) -> float:
    """Say how much faster `ours` is than `reference`: the median over pairs run side by side.

    Both halves of a pair get the same sample, made outside of the clock. Whatever slows the machine
    slows both; the order changes from pair to pair, so that neither always runs in the other's wake.
    """
    ratios = []
    for number, sample in enumerate(samples):
        steps = (ours, reference) if number % 2 else (reference, ours)
        seconds = {step: await _seconds(step, sample) for step in steps}
        ratios.append(seconds[reference] / seconds[ours])
    return statistics.median(ratios[PAIRS_WARM_UP:])


async def _seconds(step: Step[T], sample: T) -> float:
    begun = time.perf_counter()
    await step(sample)
    return time.perf_counter() - begun
