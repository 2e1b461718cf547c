"""The real process with a webhook: what it answered 200 to is on disk, also when it dies at once."""

import json

from tests.waiting import eventually
from tests.whole_bot.between import with_webhook
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.server import PlaygroundServer


def words(person: Person) -> list[str]:
    return [said.partition(" (attempt")[0] for said in person.sees]


async def test_a_kill_between_the_commit_and_the_200_neither_loses_nor_doubles_what_is_posted_again(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    async with with_webhook(bot) as between:
        await bot.start()
        await bot.logs("webhook.set")
        between.on_taken = bot.kill
        ann.says("one", "two")
        await eventually(lambda: bot.ended, "it was killed")
        await bot.start()
        ann.says("three")
        await eventually(lambda: words(ann) == ["one", "two", "three"], "each is answered once, in order")
        assert await bot.stop() == 0
        ann.says("while it is down")
        await bot.start()
        await eventually(
            lambda: words(ann)[3:] == ["while it is down"], "what was posted meanwhile comes again"
        )
        assert bot.log.count("webhook.set") == 1
        assert bot.log.count("webhook.listening") == 3
        assert not [call for call in wire.world.journal if call["method"] == "getUpdates"]


async def test_the_log_as_json_has_the_address_it_listens_on_in_one_field(bot: BotProcess) -> None:
    bot.setting(log="json")
    async with with_webhook(bot):
        await bot.start()
        await bot.logs("webhook.listening")
        entries = [json.loads(line) for line in bot.log.splitlines()]
    listening = next(one for one in entries if one.get("event") == "webhook.listening")
    assert listening["address"].startswith("127.0.0.1:")
    assert "message" not in listening
