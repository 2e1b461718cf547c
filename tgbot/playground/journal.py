"""Every Bot API call in the order it took effect, bounded in number."""

from collections import deque
from collections.abc import Iterator
from typing import Any

ENTRIES_MAX = 20_000


class Journal:
    """The last `ENTRIES_MAX` calls as `{n, token, method, params, status, response, applied}`.

    `applied` says whether the call took effect. `status` is None when the connection was cut, so that nobody
    saw `response`. `params` are as understood (numbers as numbers, nested JSON decoded); an uploaded file is
    `{"file_name", "size"}` (bytes).
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._entries: deque[dict[str, Any]] = deque()
        self._last_n = 0

    def record(self, entry: dict[str, Any]) -> None:
        """Append a call; the oldest is dropped (and counted) when there are too many."""
        self._last_n += 1
        self._entries.append({"n": self._last_n, **entry})
        if len(self._entries) > ENTRIES_MAX:
            self._entries.popleft()
            self.dropped += 1

    def after(self, n: int = 0, methods: str = "") -> list[dict[str, Any]]:
        """Return the calls numbered above `n`.

        `methods` is a comma-separated list of the methods wanted, or, each with a leading "-", not wanted.
        """
        names = [name for name in methods.split(",") if name]
        wanted = {name for name in names if not name.startswith("-")}
        unwanted = {name[1:] for name in names if name.startswith("-")}
        return [
            entry
            for entry in self._entries
            if entry["n"] > n
            and (not wanted or entry["method"] in wanted)
            and entry["method"] not in unwanted
        ]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
