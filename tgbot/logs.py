"""Configures logging: one event a line with its ids, on stderr, as text or JSON, and never a secret."""

import json
import logging
import math
import re
import sys
import time
from collections.abc import Iterable
from typing import Literal, TextIO
from urllib.parse import quote

Style = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

# At INFO they log every URL, and the URL holds the token; or every request to a model; or starts of servers.
QUIET = ("httpx", "httpcore", "httpx2", "httpcore2", "telegram", "alembic", "uvicorn")
OURS = "tgbot"
REDACTED = "***"
RESERVED = ("time", "level", "event", "message", "traceback")  # no field of an event is called so

_EVENT = re.compile(r"[a-z]+(?:\.[a-z_]+)+(?= |$)")
_SPEC = re.compile(r"(?:\b(\w+)=)?(%[-#0 +]*[\d.]*[a-zA-Z%])")


class _Text(logging.Formatter):
    """Redacts secrets in the final line, tracebacks included, whoever logged it."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record), self._secrets)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Keep an event on its line, whatever words of others are in it; a traceback has its own."""
        return " ".join(super().formatMessage(record).splitlines())


class _Json(logging.Formatter):
    """Writes each event as one JSON object.

    Secrets are taken out before: a quote or backslash in one is written in another way in JSON.
    """

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        whole = {"time": _time(record), "level": record.levelname.lower(), **_event(record)}
        if traceback := self._traceback(record):
            whole["traceback"] = traceback
        return json.dumps({name: self._clean(value) for name, value in whole.items()})

    def _clean(self, value: object) -> object:
        return redacted(value, self._secrets) if isinstance(value, str) else value

    def _traceback(self, record: logging.LogRecord) -> str | None:
        return self.formatException(record.exc_info) if record.exc_info else record.exc_text


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Take secrets out of a text, as they are and as a URL quotes them."""
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
    for form in sorted(forms, key=len, reverse=True):  # one may be the beginning of another
        text = text.replace(form, REDACTED)
    return text


def handler(stream: TextIO, *secrets: str, style: Style = "text") -> logging.Handler:
    """Make a handler that logs to a stream, without `secrets`, as they are and as a URL quotes them."""
    made = logging.StreamHandler(stream)
    made.setFormatter(_Json(secrets) if style == "json" else _Text(secrets))
    return made


def configure(*secrets: str, style: Style = "text", level: Level = "info") -> None:
    """Log to stderr, without these secrets, what is at least of this level."""
    own = logging.getLevelNamesMapping()[level.upper()]
    # At "debug" ours alone: the details of libraries are what people write, and URLs with the token.
    logging.basicConfig(
        level=max(own, logging.INFO), handlers=[handler(sys.stderr, *secrets, style=style)], force=True
    )
    logging.getLogger(OURS).setLevel(own)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(own, logging.WARNING))


def _time(record: logging.LogRecord) -> str:
    """Write when it happened: in UTC, as ISO 8601 has it, with milliseconds."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"


def _event(record: logging.LogRecord) -> dict[str, object]:
    """Give an event's name, its fields, and what else it says; of a line of others the message alone."""
    form = str(record.msg)
    event = _EVENT.match(form) if record.name.partition(".")[0] == OURS else None
    if event is None:
        return {"message": record.getMessage()}
    fields, rest = _taken_apart(form[event.end() :], record.args)
    return {"event": event[0], **fields, **({"message": rest} if rest else {})}


def _taken_apart(form: str, args: object) -> tuple[dict[str, object], str]:
    """Split a line into its fields and the words around them.

    By its format: what a value holds cannot be mistaken for a field.
    """
    values = iter(args if isinstance(args, tuple) else ())
    fields: dict[str, object] = {}

    def take(found: re.Match[str]) -> str:
        name, spec = found.groups()
        if spec == "%%":
            return found[0].replace("%%", "%")
        value = next(values)
        if name is None:
            return str(spec % (value,))
        fields[name] = _value(spec, value)
        return ""

    words = " ".join(_SPEC.sub(take, form).split())
    return fields, words.removeprefix(":").lstrip()


def _value(spec: str, value: object) -> object:
    """Give a field's value as JSON has it: a number stays one, rounded as the text would be."""
    if value is None or isinstance(value, bool | int):
        return value
    text = str(spec % (value,))
    return float(text) if isinstance(value, float) and math.isfinite(value) else text
