"""A search for a part: of all that was found, one copy stays."""

from tests.store.instance import Instance
from tgbot.delivery.settle import OURS, Search
from tgbot.model import MessageId, Raw


def test_of_two_messages_with_the_buttons_of_the_part_one_is_surplus(instance: Instance) -> None:
    """A settling that was killed has given the part's buttons to its own "…"."""
    instance.answer(instance.start("a"), "re: a")
    found: list[Raw] = [OURS, OURS, {"text": "re: a"}, {"text": "…"}]
    search = Search([instance.the_next()])
    assert all(search.take(MessageId(number), message) for number, message in enumerate(found))
    assert (search.found, search.surplus) == ([1], [0, 2, 3])
