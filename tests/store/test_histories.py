"""Random histories against a model: whatever people, agents and deaths do, the promises hold."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.store.history_conduct import Conduct
from tgbot.store import joins


def run(template: Path, folder: Path, **limits: Any) -> None:  # noqa: ANN401 - settings of Hypothesis
    # Time passes where the model says so, not on a slow machine.
    with patch.object(joins, "QUIET_SECONDS", 50.0):
        run_state_machine_as_test(
            lambda: Conduct(template, folder),  # type: ignore[arg-type]  # it says: a class or a factory
            settings=settings(report_multiple_bugs=False, **limits),
        )


def test_no_history_breaks_a_promise(migrated_file: Path, tmp_path: Path) -> None:
    run(migrated_file, tmp_path, max_examples=60, stateful_step_count=40)


@pytest.mark.soak
def test_no_long_history_breaks_a_promise(migrated_file: Path, tmp_path: Path) -> None:
    run(migrated_file, tmp_path, max_examples=1000, stateful_step_count=100, derandomize=False)
