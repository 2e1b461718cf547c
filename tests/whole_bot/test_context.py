"""What a message carries besides its text reaches the agent."""

import pytest

from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.files import Upload
from tgbot.playground.server import PlaygroundServer


@pytest.fixture
async def bot(bot: BotProcess, wire: PlaygroundServer) -> BotProcess:
    wire.world.make_chat(7, "Ann")
    bot.setting(agent="tests.whole_bot.agents:reader")
    await bot.start()
    return bot


async def test_a_file_reaches_the_agent_with_its_bytes(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    wire.world.post_files(7, 7, [Upload("plan.txt", "text/plain", b"dig here")], caption="look")
    await ann.sees_among("plan.txt: 8 bytes")
    await ann.sees_among("[File plan.txt, 8 bytes, text/plain]")


async def test_a_reply_and_a_forward_are_in_the_prompt(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    ann.says("what is this?")
    await ann.sees_among("what is this?")
    content = {
        "text": "and that?",
        "forward_origin": {"type": "hidden_user", "sender_user_name": "Bob", "date": 1},
    }
    wire.world.post_content(7, 7, content)
    await ann.sees_among("[Forwarded from Bob]")


async def test_the_payload_of_a_link_reaches_the_agent(bot: BotProcess, ann: Person) -> None:
    ann.says("/start ref-42")
    await ann.sees_among("payload: ref-42")


async def test_what_a_web_app_sends_reaches_the_agent(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    sent = {"web_app_data": {"data": '{"pizza": 2}', "button_text": "Order"}}
    wire.world.post_content(ann.chat_id, ann.user_id, sent)
    await ann.sees_among('[From the web app behind "Order": "{"pizza": 2}"]')
