"""Each of several workers sends a part of what Telegram allows one bot."""

import time

from sqlalchemy import text

from tests.waiting import eventually
from tests.whole_bot.process import Person
from tests.workers.conftest import Hire
from tgbot.playground.server import PlaygroundServer
from tgbot.store.engine.place import place_of
from tgbot.telegram.rate_limit import OVERALL_BURST

RATE = 10
CHATS = 40
LIMITED = {"sendMessage", "sendChatAction", "editMessageText", "setMessageReaction", "deleteMessage"}


def renewed_at(url: str) -> list[float]:
    """Read when the leases end, in the order of the workers."""
    times = text("SELECT lease_until FROM instance ORDER BY id")
    return [row[0] for row in place_of(url).read_once(lambda conn: conn.execute(times).fetchall())]


async def test_two_workers_send_no_more_together_than_one_may(
    hire: Hire, wire: PlaygroundServer, url: str
) -> None:
    crew = hire(2, rate_overall_per_second=RATE, receipts="false", stream="off", max_turns=1)
    await crew.start()
    before = renewed_at(url)
    await eventually(
        lambda: all(now > then for now, then in zip(renewed_at(url), before, strict=True)),
        "both know of each other",
    )
    people = [Person(wire, user_id) for user_id in range(11, 11 + CHATS)]
    began_at = time.monotonic()
    for person in people:
        person.says(f"{person.user_id}-1")
    await eventually(lambda: all(person.sees for person in people), "all answers")
    passed_seconds = time.monotonic() - began_at
    limited = [call for call in wire.world.journal.after(0, "") if call["method"] in LIMITED]
    # However the chats are shared out among them. A slow machine only takes longer.
    at_once = OVERALL_BURST + 1  # what all of them may owe is one burst, and each may send one
    assert len(limited) <= RATE * passed_seconds + at_once
    await crew.end()
