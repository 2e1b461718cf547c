"""What is ignored is counted, and the log says so without flooding."""

import logging

import pytest

from tgbot.intake.ignored import LOG_SECONDS, Ignored


def test_each_kind_has_its_first_line_at_once_and_then_one_a_minute_with_the_count_since_the_start(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    caplog.set_level(logging.INFO)
    ignored = Ignored()
    for _ in range(3):
        ignored.note("poll")
    ignored.note("message.not_addressed", 7)
    ignored.note("chat_boost", 0)
    now += LOG_SECONDS
    ignored.note("poll")
    assert caplog.messages == [
        "intake.ignored kind=poll count=1",
        "intake.ignored kind=message.not_addressed count=7",
        "intake.ignored kind=poll count=4",
    ]
