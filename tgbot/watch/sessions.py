"""Who is logged in to the admin page: tokens, sessions in memory, and a pause after wrong tokens."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from tgbot.watch.actions import Role

SESSION_SECONDS = 12 * 3600.0
SESSIONS_MAX = 100  # the oldest one ends
WRONG_MAX = 5  # tokens in a row, from one address
PAUSE_SECONDS = 60.0  # after these; each further one doubles it
PAUSE_SECONDS_MAX = 3600.0
ADDRESSES_MAX = 1_000  # that are remembered; of more, those with the oldest wrong token are forgotten


class WrongTokenError(Exception):
    """The token opens nothing."""


class LockedOutError(Exception):
    """There were too many wrong tokens from this address; `seconds` from now one may try again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(slots=True)
class _Session:
    role: Role
    ends_at: float


@dataclass(slots=True)
class _Wrong:
    number: int = 0
    until: float = 0.0


class Sessions:
    """Knows the tokens and the sessions only as hashes. Times are on `clock`, in seconds."""

    def __init__(
        self,
        admin_token: str | None,
        viewer_token: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        given: list[tuple[Role, str | None]] = [("admin", admin_token), ("viewer", viewer_token)]
        self._tokens: list[tuple[Role, bytes]] = [(role, _hash(token)) for role, token in given if token]
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._wrong: OrderedDict[str, _Wrong] = OrderedDict()
        self._clock = clock

    def log_in(self, token: str, address: str) -> str:
        """Begin a session, and give its id. Raises WrongTokenError, LockedOutError."""
        wrong = self._wrong.get(address)
        if wrong and wrong.until > self._clock():
            raise LockedOutError(wrong.until - self._clock())
        role = self._role_of(token)
        if role is None:
            self._note_wrong(address)
            raise WrongTokenError
        self._wrong.pop(address, None)
        return self._begin(role)

    def role(self, session_id: str) -> Role | None:
        """Find whose session this is; None if it has ended, or never was."""
        session = self._sessions.get(_hash(session_id))
        return session.role if session and session.ends_at > self._clock() else None

    def log_out(self, session_id: str) -> None:
        """End a session."""
        self._sessions.pop(_hash(session_id), None)

    def _role_of(self, token: str) -> Role | None:
        hashed, found = _hash(token), None
        for role, right in self._tokens:  # all of them, so that the time says nothing
            if hmac.compare_digest(hashed, right):
                found = role
        return found

    def _begin(self, role: Role) -> str:
        session_id = secrets.token_urlsafe(32)
        self._sessions[_hash(session_id)] = _Session(role, self._clock() + SESSION_SECONDS)
        if len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return session_id

    def _note_wrong(self, address: str) -> None:
        wrong = self._wrong.setdefault(address, _Wrong())
        self._wrong.move_to_end(address)
        wrong.number += 1
        if (further := wrong.number - WRONG_MAX) >= 0:
            wrong.until = self._clock() + min(PAUSE_SECONDS * 2 ** min(further, 10), PAUSE_SECONDS_MAX)
        if len(self._wrong) > ADDRESSES_MAX:
            self._wrong.popitem(last=False)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
