"""Tokens open sessions, for a time; wrong ones lock out who sends them, for a time."""

import pytest

from tgbot.watch import sessions
from tgbot.watch.sessions import LockedOutError, Sessions, WrongTokenError

ADMIN, VIEWER = "a" * 16, "v" * 16
HERE = "192.0.2.1"


class Clock:
    """A clock that a test sets."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def doors(clock: Clock) -> Sessions:
    return Sessions(ADMIN, VIEWER, clock)


def knock(doors: Sessions, times: int, address: str = HERE) -> None:
    for _ in range(times):
        with pytest.raises(WrongTokenError):
            doors.log_in("wrong", address)


def test_each_token_gives_its_role_until_the_session_ends(doors: Sessions, clock: Clock) -> None:
    admin, viewer = doors.log_in(ADMIN, HERE), doors.log_in(VIEWER, HERE)
    assert (doors.role(admin), doors.role(viewer), doors.role(""), doors.role(ADMIN)) == (
        *("admin", "viewer"),
        *(None, None),
    )
    doors.log_out(viewer)
    assert doors.role(viewer) is None
    clock.seconds += sessions.SESSION_SECONDS
    assert doors.role(admin) is None


def test_a_token_that_is_not_set_opens_nothing(clock: Clock) -> None:
    doors = Sessions(None, VIEWER, clock)
    for token in ("", "None", ADMIN):
        with pytest.raises(WrongTokenError):
            doors.log_in(token, HERE)


def test_after_wrong_tokens_also_the_right_one_waits_and_each_further_one_doubles_it(
    doors: Sessions, clock: Clock
) -> None:
    knock(doors, sessions.WRONG_MAX)
    with pytest.raises(LockedOutError) as locked:
        doors.log_in(ADMIN, HERE)
    assert locked.value.seconds == sessions.PAUSE_SECONDS
    assert doors.role(doors.log_in(ADMIN, "192.0.2.2")) == "admin", "others are not locked out"
    clock.seconds += sessions.PAUSE_SECONDS
    knock(doors, 1)
    with pytest.raises(LockedOutError) as locked:
        doors.log_in(ADMIN, HERE)
    assert locked.value.seconds == 2 * sessions.PAUSE_SECONDS
    clock.seconds += 2 * sessions.PAUSE_SECONDS
    assert doors.log_in(ADMIN, HERE)
    knock(doors, 1)  # the right one made a fresh start
    assert doors.log_in(ADMIN, HERE)


def test_however_many_knock_or_log_in_what_is_remembered_is_bounded(
    doors: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "ADDRESSES_MAX", 10)
    monkeypatch.setattr(sessions, "SESSIONS_MAX", 3)
    for number in range(50):
        knock(doors, 1, f"192.0.2.{number}")
    first, *_, last = [doors.log_in(ADMIN, HERE) for _ in range(4)]
    assert (len(doors._wrong), len(doors._sessions)) == (10, 3)
    assert (doors.role(first), doors.role(last)) == (None, "admin")


def test_no_token_and_no_session_is_kept_as_it_is(doors: Sessions) -> None:
    session_id = doors.log_in(ADMIN, HERE)
    kept = repr(vars(doors))
    assert ADMIN not in kept
    assert session_id not in kept
