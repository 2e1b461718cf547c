"""Text as PostgreSQL can hold it: without a NUL, which a model or Telegram may send as a JSON escape."""

from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.types.string import StrDumperUnknown


def accept_nul(driver: psycopg.Connection[Any]) -> None:
    """Have a space stored for each NUL, which the driver would refuse."""
    driver.adapters.register_dumper(str, _Dumper)


class _Dumper(StrDumperUnknown):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", " "))
