"""A turn reserves before each request to a model and settles after it, and no limit is overrun."""

import asyncio
import itertools
import logging
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.house import House, no_download, raw_message
from tests.store.instance import Instance, StartInstance
from tgbot.agents.llm.budget import OUTPUT_TOKENS_MAX, Budget, ModelId, limits
from tgbot.agents.llm.costs import NANO
from tgbot.config import Settings
from tgbot.model import Turn
from tgbot.store.usage import Limit, Limits, Total
from tgbot.tally import tally
from tgbot.turns.agent import AgentTurn, UserFacingError

ROOT = Path(__file__).parents[2]
MODEL = ModelId("m", "test")
NOON = 20_000.5 * 86400


@dataclass
class Used:
    input_tokens: int
    output_tokens: int
    cost: Decimal | None = None
    unmeasured_requests: int = 0


def a_cent_a_thousand(_: ModelId, input_tokens: int, output_tokens: int) -> Decimal | None:
    return Decimal(input_tokens + output_tokens) / 100_000


def unknown(_: ModelId, _in: int, _out: int) -> Decimal | None:
    return None


def turn_of(instance: Instance, turn: Turn) -> AgentTurn:
    async def write(operation: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the protocol
        return instance.do(operation, *args, **kwargs)

    return AgentTurn(turn, no_download, write, write)


@pytest.fixture
def agent_turn(instance: Instance) -> AgentTurn:
    return turn_of(instance, instance.start("a"))


def test_limits_are_those_that_are_set_and_exact() -> None:
    assert limits(Settings(token="1:x")) == {"turn": Limit(steps=50)}
    settings = Settings(
        token="1:x",
        turn_steps_max=3,
        turn_tokens_max=20_000,
        turn_cost_max=Decimal("0.000000001"),
        user_day_cost_max=Decimal("1.1"),
        chat_day_tokens_max=30_000,
    )
    assert limits(settings) == {
        "turn": Limit(3, 20_000, 1),
        "user": Limit(None, None, 1_100_000_000),
        "chat": Limit(None, 30_000, None),
    }


async def test_a_request_beyond_a_limit_is_refused_in_one_friendly_line(agent_turn: AgentTurn) -> None:
    budget = Budget(agent_turn, {"user": Limit(nano_dollars=NANO // 10)}, a_cent_a_thousand, lambda: NOON)
    await budget.before_request(MODEL, 9_000, 1_000)
    with pytest.raises(UserFacingError) as raised:
        await budget.before_request(MODEL, 100, 100)
    assert str(raised.value) == "Today's budget of $0.10 for you is used up. It resets at 00:00 UTC."
    assert await budget.total() == Total(1, 10_000, NANO // 10, 0, open=1)


async def test_what_a_request_took_takes_the_place_of_what_was_reserved(agent_turn: AgentTurn) -> None:
    budget = Budget(agent_turn, {}, a_cent_a_thousand)
    await budget.before_request(MODEL, 100)
    assert (await budget.total()).tokens == 100 + OUTPUT_TOKENS_MAX
    await budget.after_request(Used(90, 10, Decimal("0.0000000015")))
    assert await budget.total() == Total(1, 100, nano_dollars=2, unpriced=0, open=0)


async def test_what_requests_took_is_counted_by_model(agent_turn: AgentTurn) -> None:
    name = "test:counted"
    for used in (Used(90, 10, Decimal("0.25")), Used(5, 5, unmeasured_requests=1), Used(10, 0)):
        budget = Budget(agent_turn, {}, unknown)
        await budget.before_request(ModelId("counted", "test"), 100)
        await budget.after_request(used)
    assert (tally.model_requests[name], tally.model_nano_dollars[name]) == (2, NANO // 4)
    assert (tally.model_input_tokens[name], tally.model_output_tokens[name]) == (100, 10)


async def test_a_response_without_a_cost_is_priced_by_its_tokens(agent_turn: AgentTurn) -> None:
    budget = Budget(agent_turn, {}, a_cent_a_thousand)
    await budget.before_request(MODEL, 100)
    await budget.after_request(Used(900, 100))
    assert (await budget.total()).nano_dollars == NANO // 100


async def test_a_price_of_0_is_one_that_is_not_known(agent_turn: AgentTurn) -> None:
    budget = Budget(agent_turn, {}, lambda *_: Decimal(0))
    await budget.before_request(MODEL, 100)
    await budget.after_request(Used(1, 1, Decimal(0)))
    assert await budget.total() == Total(1, 2, 0, unpriced=1, open=0)


async def test_a_response_that_says_nothing_of_it_counts_as_it_was_reserved(
    agent_turn: AgentTurn,
) -> None:
    budget = Budget(agent_turn, {}, a_cent_a_thousand)
    await budget.before_request(MODEL, 100, 50)
    await budget.after_request(Used(0, 0, unmeasured_requests=1))
    assert await budget.total() == Total(1, 150, 150 * NANO // 100_000, 0, open=1)


async def test_a_request_that_was_refused_takes_no_step_and_no_money(agent_turn: AgentTurn) -> None:
    budget = Budget(agent_turn, {"turn": Limit(steps=1)}, a_cent_a_thousand)
    for _ in range(3):
        await budget.before_request(MODEL, 100)
        await budget.refused()
    assert (await budget.total()).requests == 0


async def test_a_limit_of_dollars_does_not_hold_for_an_unknown_price_and_the_log_says_so_once(
    agent_turn: AgentTurn, caplog: pytest.LogCaptureFixture
) -> None:
    model = ModelId("local", "test")
    budget = Budget(agent_turn, {"chat": Limit(tokens=40_000, nano_dollars=1)}, unknown)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            await budget.before_request(model, 1_000)
            await budget.after_request(Used(10_000, 5_000))
    [logged] = [record.getMessage() for record in caplog.records]
    assert "budget.unpriced model=test:local: its price is not known" in logged
    assert await budget.total() == Total(2, 30_000, 0, unpriced=2, open=0)
    with pytest.raises(UserFacingError, match="40,000 tokens for this chat has 10,000 tokens left"):
        await budget.before_request(model, 3_000)


@pytest.mark.parametrize("limit", [Limit(tokens=100_000), Limit(nano_dollars=NANO)])
def test_with_a_limit_a_response_has_one_too_or_nothing_could_be_reserved(
    agent_turn: AgentTurn, limit: Limit
) -> None:
    assert Budget(agent_turn, {"turn": Limit(steps=50)}, unknown).output_tokens_max is None
    assert Budget(agent_turn, {"turn": limit}, unknown).output_tokens_max == OUTPUT_TOKENS_MAX


async def test_turns_that_run_beside_each_other_cannot_overspend(house: House) -> None:
    ids = itertools.count(1)
    sender = {"id": 7, "is_bot": False, "first_name": "Ann"}
    raws = [raw_message(next(ids), "a", -chat, **{"from": sender}) for chat in range(1, 11)]
    claimed = (await house.accept_without_spawning(*raws)).claimed
    assert len(claimed) == 10
    of_user: Limits = {"user": Limit(tokens=35_000)}
    agents_turns = [AgentTurn(one, no_download, house.db.write, house.db.read) for one in claimed]
    budgets = [Budget(one, of_user, unknown) for one in agents_turns]
    requests = [budget.before_request(MODEL, 9_000, 1_000) for budget in budgets]
    outcomes = await asyncio.gather(*requests, return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 7
    assert all(isinstance(outcome, UserFacingError) for outcome in refused)


async def test_what_was_reserved_when_the_process_died_is_spent(
    instance: Instance, start_instance: StartInstance, agent_turn: AgentTurn
) -> None:
    of_turn: Limits = {"turn": Limit(steps=2, tokens=15_000)}
    await Budget(agent_turn, of_turn, unknown).before_request(MODEL, 9_000, 1_000)
    another = start_instance()
    another.recover()
    [again] = another.claim_waiting()
    budget = Budget(turn_of(another, again), of_turn, unknown)
    with pytest.raises(UserFacingError, match=r"15,000 tokens for one message has 5,000 tokens left"):
        await budget.before_request(MODEL, 9_000, 1_000)
    await budget.before_request(MODEL, 4_000, 1_000)
    with pytest.raises(UserFacingError, match=r"2 steps for one message is used up\. Your next message"):
        await budget.before_request(MODEL, 1, 1)


@pytest.mark.parametrize("module", ["budget", "costs"])
def test_what_a_start_imports_has_no_library_for_models(module: str) -> None:
    look = f"import sys, tgbot.agents.llm.{module}; print('pydantic_ai' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
