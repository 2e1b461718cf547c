"""Keeps what a turn costs within its limits: reserves before each request to a model, settles after it."""

import functools
import logging
import time
from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple, Protocol

from tgbot.agents.llm import costs
from tgbot.config import Settings
from tgbot.store import usage
from tgbot.store.usage import Amount, Exhausted, Limit, Limits, Request, ReservationId, Scope, Total
from tgbot.tally import tally
from tgbot.turns.agent import AgentTurn, UserFacingError

log = logging.getLogger(__name__)

# The most that a response may have, where a limit is set and the settings of the model name no other number:
# without one there is nothing to reserve. It fills eight messages, so that models that think have room, too.
OUTPUT_TOKENS_MAX = 8192


class ModelId(NamedTuple):
    """A model as price lists know it: pydantic-ai's `model_name`, `system` and `base_url`."""

    name: str
    provider: str
    url: str | None = None

    def __str__(self) -> str:
        """Name it as settings do."""
        return f"{self.provider}:{self.name}"


class Used(Protocol):
    """What a response says that it took; pydantic-ai's RequestUsage is one. `cost` is in dollars."""

    input_tokens: int
    output_tokens: int
    unmeasured_requests: int  # 1: it says nothing
    cost: Decimal | None


Price = Callable[[ModelId, int, int], Decimal | None]  # of so many tokens in and out, in dollars


def limits(settings: Settings) -> Limits:
    """Make the limits that are set, by what they are for."""
    of: dict[Scope, Limit] = {
        "turn": Limit(settings.turn_steps_max, settings.turn_tokens_max, _nano(settings.turn_cost_max)),
        "user": Limit(None, settings.user_day_tokens_max, _nano(settings.user_day_cost_max)),
        "chat": Limit(None, settings.chat_day_tokens_max, _nano(settings.chat_day_cost_max)),
    }
    return {scope: limit for scope, limit in of.items() if limit != Limit()}


class Budget:
    """What one turn may spend. Its requests are made one after the other.

    A request after which nothing is called (the turn was stopped, or its stream was cut) counts as it was
    reserved.
    """

    def __init__(
        self, turn: AgentTurn, limits: Limits, price: Price, clock: Callable[[], float] = time.time
    ) -> None:
        self._turn = turn
        self._limits = limits
        self._price = price
        self._clock = clock
        self._asked_at: float
        self._model: ModelId  # of the last request
        self._reservation: ReservationId

    @property
    def output_tokens_max(self) -> int | None:
        """What a request has to name as its limit, or the reservation would be none; None: it need not."""
        limited = any(limit.tokens or limit.nano_dollars for limit in self._limits.values())
        return OUTPUT_TOKENS_MAX if limited else None

    async def before_request(
        self, model: ModelId, input_tokens: int, output_tokens: int = OUTPUT_TOKENS_MAX
    ) -> None:
        """Reserve what a request may take at most. Raises UserFacingError: it would go beyond a limit."""
        most = self._amount(model, input_tokens, output_tokens, None)
        if most.nano_dollars is None and any(one.nano_dollars for one in self._limits.values()):
            _warn(model)
        request = Request(str(model), self._clock(), most)
        reserved = await self._turn.write(usage.reserve, self._turn.ownership, self._limits, request)
        if isinstance(reserved, Exhausted):
            raise UserFacingError(costs.exhausted(reserved))
        self._model, self._reservation, self._asked_at = model, reserved, time.time()

    async def after_request(self, used: Used) -> None:
        """Note what the request took. One that does not say so counts as it was reserved."""
        self._turn.traced("model", self._asked_at, model=str(self._model), output_tokens=used.output_tokens)
        if used.unmeasured_requests:
            return
        actual = self._amount(self._model, used.input_tokens, used.output_tokens, used.cost)
        await self._turn.write(usage.settle, self._turn.ownership, self._reservation, actual)
        _count(str(self._model), actual)

    async def refused(self) -> None:
        """Give back what was reserved: the provider refused the request, so it took nothing."""
        await self._turn.write(usage.give_back, self._turn.ownership, self._reservation)

    async def total(self) -> Total:
        """Sum up what the turn took until now, in all its attempts."""
        return await self._turn.write(usage.of_turn, self._turn.ownership)

    def _amount(self, model: ModelId, input_tokens: int, output_tokens: int, cost: Decimal | None) -> Amount:
        cost = cost or self._price(model, input_tokens, output_tokens)
        return Amount(input_tokens, output_tokens, _nano(cost))


def _count(model: str, actual: Amount) -> None:
    tally.model_requests[model] += 1
    tally.model_input_tokens[model] += actual.input_tokens
    tally.model_output_tokens[model] += actual.output_tokens
    tally.model_nano_dollars[model] += actual.nano_dollars or 0


@functools.cache  # once for each model
def _warn(model: ModelId) -> None:
    log.warning(
        "budget.unpriced model=%s: its price is not known; limit its tokens, no limit of dollars holds",
        model,
    )


def _nano(cost: Decimal | None) -> int | None:
    """Count billionths of a dollar; a cost of 0 is one that is not known."""
    return int((cost * costs.NANO).to_integral_value(ROUND_CEILING)) if cost else None
