"""Configures logging: one event a line with its ids, on stderr, and never the bot's token."""

import logging
import sys
from urllib.parse import quote

# They log every URL at INFO, and the URL holds the token.
QUIET = ("httpx", "httpcore", "telegram", "alembic")
REDACTED = "***"


class _Redacting(logging.Formatter):
    """Redacts the token in the final line, tracebacks included, whoever logged it."""

    def __init__(self, token: str | None) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._forms = (token, quote(token, safe="")) if token else ()

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        for form in self._forms:
            line = line.replace(form, REDACTED)
        return line


def configure(token: str | None = None) -> None:
    """Log at INFO to stderr, with `token` redacted, both as it is and as a URL quotes it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting(token))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
