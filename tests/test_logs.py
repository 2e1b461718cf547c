"""Log lines: one event a line, as text or as JSON, and never a secret."""

import ast
import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from tests.forking import ROOT
from tests.terminal import tgbot
from tgbot import logs

SECRET = 'hush"\\ü'  # JSON writes each of these in another way
EVENT = re.compile(r"[a-z]+(\.[a-z_]+)+( |$)")
METHODS = {"debug", "info", "warning", "error", "exception"}


def written(*given: object, style: logs.Style = "json", name: str = "tgbot.room", **more: Any) -> str:  # noqa: ANN401 - as logging takes them
    """Log one line, and give what is written."""
    stream = io.StringIO()
    log = logging.Logger(name)  # noqa: LOG001 - one of its own, that no other test finds
    log.addHandler(logs.handler(stream, SECRET, style=style))
    log.warning(*given, **more)
    return stream.getvalue()


def entry(*given: object, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as logging takes them
    """Log one line as JSON, without its time and level."""
    text = written(*given, **more)
    assert text.count("\n") == 1
    read: dict[str, Any] = json.loads(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", read.pop("time"))
    assert read.pop("level") == "warning"
    return read


def raised(words: str) -> ValueError:
    """Make an error that has a traceback."""
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        raise ValueError(words)
    return caught.value


def test_the_fields_of_an_event_are_those_of_the_object_and_numbers_stay_numbers() -> None:
    given = entry("a.came session=%s row=%s seconds=%.1f file=%s", "42:7", 3, 1.26, None)
    assert given == {"event": "a.came", "session": "42:7", "row": 3, "seconds": 1.3, "file": None}


def test_what_a_value_holds_is_never_taken_for_a_field() -> None:
    reason = "bad row=9 level=x %s\nevent=y"
    assert entry("a.failed reason=%s row=%s", reason, 3) == {"event": "a.failed", "reason": reason, "row": 3}


@pytest.mark.parametrize(
    ("given", "rest"),
    [
        (("a.failed turn=%s: %s", 1, "it raised"), {"turn": 1, "message": "it raised"}),
        (
            ("a.blocked turn=%s for %.0f s at %s", 1, 2.2, "x.py:3"),
            {"turn": 1, "message": "for 2 s at x.py:3"},
        ),
        (("a.said %s", "100%"), {"message": "100%"}),
        (("a.full use=100%% of %s", "it"), {"message": "use=100% of it"}),
        (("a.late seconds=%.1f", float("inf")), {"seconds": "inf"}),
    ],
)
def test_the_words_around_the_fields_are_the_message(
    given: tuple[object, ...], rest: dict[str, object]
) -> None:
    assert {name: value for name, value in entry(*given).items() if name != "event"} == rest


def test_a_line_of_others_is_a_message_whatever_it_looks_like() -> None:
    given = entry("a.came row=%s", 1, name="uvicorn.error")
    assert given == {"message": "a.came row=1"}
    assert entry("%(x)s came", {"x": 1}, name="other") == {"message": "1 came"}


def test_a_traceback_is_a_field_of_json_and_lines_of_their_own_in_text() -> None:
    error = raised("two\nlines")
    given = entry("a.failed", exc_info=error)
    assert given["traceback"].startswith("Traceback (most recent call last):\n")
    assert given["traceback"].endswith("ValueError: two\nlines")
    lines = written("a.failed", exc_info=error, style="text").splitlines()
    assert lines[0].endswith(" WARNING a.failed")
    assert lines[-2:] == ["ValueError: two", "lines"]


def test_no_secret_is_in_either_form_whatever_characters_it_has() -> None:
    error = raised(SECRET)
    for style in ("text", "json"):
        text = written("a.failed %s reason=%s", SECRET, SECRET, exc_info=error, style=style)
        assert text.count(logs.REDACTED) == 3
        assert "hush" not in text


def test_an_event_is_one_line_of_text_too() -> None:
    assert written("a.failed reason=%s", "Bad\nGateway\u2028", style="text").count("\n") == 1


def test_each_line_that_the_bot_logs_is_an_event_whose_fields_have_names_of_their_own() -> None:
    forms = [form for file in (ROOT / "tgbot").rglob("*.py") for form in _forms(file)]
    assert len(forms) > 50
    assert [form for form in forms if not EVENT.match(form)] == []
    fields = {name for form in forms for name in re.findall(r"(\w+)=%", form)}
    assert fields.isdisjoint(logs.RESERVED)


def _forms(file: Path) -> list[str]:
    """Find the formats that a file logs."""
    calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    return [
        ast.literal_eval(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in METHODS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "log"
    ]


def test_with_json_each_line_of_a_run_is_an_object_also_the_one_that_says_why_it_ended(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("")
    (tmp_path / ".env").chmod(0o644)
    (tmp_path / "tgbot.db").write_bytes(b"this is no database" * 100)
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_LOG="json")
    entries = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 2
    assert entries[0]["event"] == "config.warning"
    assert entries[-1]["event"] == "app.failed"
    assert "tgbot.db" in entries[-1]["reason"]


def test_of_libraries_nothing_below_info_is_logged_at_any_level() -> None:
    root, ours = logging.getLogger(), logging.getLogger("tgbot")
    kept = root.level, ours.level, list(root.handlers)
    try:
        logs.configure(level="debug")
        assert ours.isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("openai").isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
        assert not logging.getLogger("uvicorn.error").isEnabledFor(logging.INFO)
        logs.configure(level="error")
        assert not logging.getLogger("tgbot.app").isEnabledFor(logging.WARNING)
        assert not logging.getLogger("uvicorn").isEnabledFor(logging.WARNING)
    finally:
        root.setLevel(kept[0])
        ours.setLevel(kept[1])
        root.handlers[:] = kept[2]
        for name in logs.QUIET:
            logging.getLogger(name).setLevel(logging.NOTSET)
