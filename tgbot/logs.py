"""Configures logging: one event a line with its ids, on stderr, and never a secret."""

import logging
import sys
from collections.abc import Iterable
from typing import TextIO
from urllib.parse import quote

# They log every URL at INFO, and the URL holds the token; or every request to a model.
QUIET = ("httpx", "httpcore", "httpx2", "httpcore2", "telegram", "alembic")
REDACTED = "***"


class _Redacting(logging.Formatter):
    """Redacts secrets in the final line, tracebacks included, whoever logged it."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record), self._secrets)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Take secrets out of a text, as they are and as a URL quotes them."""
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
    for form in sorted(forms, key=len, reverse=True):  # one may be the beginning of another
        text = text.replace(form, REDACTED)
    return text


def handler(stream: TextIO, *secrets: str) -> logging.Handler:
    """Make a handler that logs to a stream, without `secrets`, as they are and as a URL quotes them."""
    made = logging.StreamHandler(stream)
    made.setFormatter(_Redacting(secrets))
    return made


def configure(*secrets: str) -> None:
    """Log at INFO to stderr, without these secrets."""
    logging.basicConfig(level=logging.INFO, handlers=[handler(sys.stderr, *secrets)], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
