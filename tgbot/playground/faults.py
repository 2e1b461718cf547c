"""Faults on demand: which requests fail, how, how often."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tgbot.playground.errors import bad_request

KINDS = ("429", "500", "cut_before", "cut_after", "late", "delay")
RULES_MAX = 100
_TYPES: dict[str, type | tuple[type, ...]] = {
    "method": str,
    "kind": str,
    "times": (int, type(None)),
    "probability": (int, float),
    "chat_id": (int, type(None)),
    "retry_after": int,
    "seconds": (int, float),
    "seed": int,
}


@dataclass
class Fault:
    """One rule: the next `times` (None: all) requests it matches fail with `kind`.

    `cut_before` cuts the connection before the call takes effect, `cut_after` when it has, before any answer.
    `late` cuts it at once, and the call takes effect `seconds` later: what a slow server does after a gateway
    gave it up. `retry_after` is in seconds (for 429), `seconds` is also how long a `delay` lasts.
    `probability` is drawn from a generator seeded with `seed`, so that a run can be repeated.
    """

    kind: str
    method: str = "*"
    times: int | None = None
    probability: float = 1.0
    chat_id: int | None = None
    retry_after: int = 1
    seconds: float = 1.0
    seed: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise bad_request(f'fault kind "{self.kind}" is unknown: use one of {", ".join(KINDS)}')
        self._random = random.Random(self.seed)  # noqa: S311  repeatable, not secret

    def strikes(self, method: str, chat_id: object) -> bool:
        """Tell whether this request fails, and count it if so."""
        if self.method not in ("*", method):
            return False
        if self.chat_id is not None and self.chat_id != chat_id:
            return False
        if self._random.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """The rules in force, asked in the order they were added; `changed` is called with their kinds."""

    def __init__(self, changed: Callable[[list[str]], None] = lambda _kinds: None) -> None:
        self._changed = changed
        self.rules: list[Fault] = []

    def add(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Add rules after those in force; a rule that makes no sense is refused and none is added."""
        self._set([*self.rules, *map(_fault, rules)])

    def replace(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Put rules in place of those in force; refused as by `add`."""
        self._set([*map(_fault, rules)])

    def _set(self, rules: list[Fault]) -> None:
        if len(rules) > RULES_MAX:
            raise bad_request(f"more than {RULES_MAX} fault rules: delete the old ones first")
        self.rules = rules
        self._changed(self.kinds())

    def kinds(self) -> list[str]:
        """Return the kinds of the rules in force."""
        return [rule.kind for rule in self.rules]

    def clear(self) -> None:
        """Drop all rules."""
        self._set([])

    def strike(self, method: str, chat_id: object) -> tuple[float, Fault | None]:
        """Return how many seconds this request is delayed, and the fault it then meets, if any."""
        self.rules = [rule for rule in self.rules if rule.times != 0]
        delay_seconds = 0.0
        for rule in self.rules:
            if not rule.strikes(method, chat_id):
                continue
            if rule.kind != "delay":
                return delay_seconds, rule
            delay_seconds += rule.seconds
        return delay_seconds, None


def _fault(rule: Mapping[str, Any]) -> Fault:
    """Make a Fault of a JSON object, or say what is wrong with it."""
    if not isinstance(rule, Mapping) or "kind" not in rule:
        raise bad_request('a fault rule is an object with at least a "kind"')
    for name, value in rule.items():
        if name not in _TYPES:
            raise bad_request(f'fault rule has no field "{name}"')
        if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
            raise bad_request(f'fault rule: "{name}" has the wrong type')
    return Fault(**rule)
