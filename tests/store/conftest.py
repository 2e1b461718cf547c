"""Rows that wait for more do not become due by themselves: each test decides when time has passed."""

import pytest

from tgbot.store import joins


@pytest.fixture(autouse=True)
def _nothing_is_quiet_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "QUIET_SECONDS", 50.0)
