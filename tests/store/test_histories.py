"""Random histories against a model: whatever people, agents and deaths do, the promises hold."""

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.store.history_conduct import Conduct
from tests.store.storage import Storages
from tgbot.store import joins


def run(storages: Storages, **limits: Any) -> None:  # noqa: ANN401 - settings of Hypothesis
    # Time passes where the model says so, not on a slow machine.
    with patch.object(joins, "QUIET_SECONDS", 50.0):
        run_state_machine_as_test(
            lambda: Conduct(storages),  # type: ignore[arg-type]  # it says: a class or a factory
            settings=settings(report_multiple_bugs=False, **limits),
        )


def test_no_history_breaks_a_promise(storages: Storages) -> None:
    run(storages, max_examples=60 // storages.one_in, stateful_step_count=40)


@pytest.mark.soak
def test_no_long_history_breaks_a_promise(storages: Storages) -> None:
    run(storages, max_examples=1000, stateful_step_count=100, derandomize=False)
