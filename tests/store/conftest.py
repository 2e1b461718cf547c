"""Time stands still for what waits for more: a test says when it has passed."""

import pytest

from tgbot.store import joins


@pytest.fixture(autouse=True)
def _nothing_is_quiet_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "QUIET_SECONDS", 50.0)
