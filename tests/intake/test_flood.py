"""A flood of strangers: the database hardly grows, and an allowed user waits for no more than a batch."""

from collections.abc import Iterator, Sequence

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, pressed
from tgbot.intake import pairing
from tgbot.intake.poller import BATCH_MAX
from tgbot.model import Raw, UserId
from tgbot.store import schema, strangers
from tgbot.store.strangers import STRANGERS_A_MINUTE

UPDATES, STRANGERS = 10_000, 1_000
OWNER = 7
SAID = ("hello", "/pair", "/start abcd-efgh-jkmn", "aaaa-aaaa-aaaa", "/stop", "x" * 4096)
# Of each who is heard: the reply, that the owner was asked, the card, five wrong codes.
ROWS_OF_ONE = 3 + pairing.WRONG_CODES_MAX


def sizes(instance: Instance) -> dict[str, int]:
    return {name: instance.rows(f"SELECT count(*) FROM {name}")[0][0] for name in schema.metadata.tables}


def batches(updates: Sequence[Raw], size: int) -> Iterator[Sequence[Raw]]:
    return (updates[start : start + size] for start in range(0, len(updates), size))


def flood(*, in_groups: bool = False) -> list[Raw]:
    """Make all kinds of updates, of all strangers."""
    return [
        pressed(n, "stop:1", chat=-5, user=user)
        if n % 11 == 0
        else raw_message(n, SAID[n % len(SAID)], -user if in_groups else user)
        for n in range(1, UPDATES + 1)
        for user in [1_000 + n % STRANGERS]
    ]


@pytest.mark.parametrize("has_owner", [True, False])
@pytest.mark.parametrize("in_groups", [False, True])
def test_ten_thousand_updates_of_strangers_leave_few_rows(
    start_instance: StartInstance,
    has_owner: bool,  # noqa: FBT001
    in_groups: bool,  # noqa: FBT001
) -> None:
    instance = start_instance(allowed_users=frozenset([UserId(OWNER)] if has_owner else []))
    if not has_owner:
        instance.do(strangers.open_pairing, instance.owner.bot_id, pairing.stored(pairing.new_code()))
    before = sizes(instance)
    for batch in batches(flood(in_groups=in_groups), BATCH_MAX):
        instance.receive(*batch)
    grown = {name: size - before[name] for name, size in sizes(instance).items() if size > before[name]}
    heard = 0 if in_groups else STRANGERS_A_MINUTE
    assert grown.pop("stranger", 0) <= heard
    assert set(grown) <= {"pending", "outbox"}
    assert max(grown.values(), default=0) <= heard * ROWS_OF_ONE


def test_ten_thousand_strangers_do_not_delay_an_allowed_users_answer(start_instance: StartInstance) -> None:
    """Neither does their batch hold it up, nor stands anything of theirs before it."""
    instance = start_instance(allowed_users=frozenset([UserId(OWNER)]), max_turns=1)
    updates = flood()
    for number, batch in enumerate(batches(updates[:1_000], BATCH_MAX - 1)):
        said = f"mine {number}"
        [turn] = instance.receive(*batch, raw_message(UPDATES + 1 + number, said, OWNER)).claimed
        assert turn.text == said
        instance.finish(turn, f"re: {said}")
    shown = instance.send_all(OWNER)
    answers = [said for said in shown if said and said.startswith("re: ")]
    assert shown[: len(answers)] == answers
