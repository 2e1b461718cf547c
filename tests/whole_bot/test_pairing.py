"""Who starts a bot that has no owner becomes it, with the code that the process shows."""

import re

from tests.waiting import eventually
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.server import PlaygroundServer

CODE = re.compile(r"this code: (\S+)")
LINK = re.compile(r"https://t\.me/playground42_bot\?start=(\S+)")
NOBODY = "app.nobody_allowed"


async def code_shown(bot: BotProcess) -> str:
    """Start the bot, and read the code from its output; the link has the same one."""
    await bot.start()
    await eventually(
        lambda: bool(CODE.search(bot.printed) and LINK.search(bot.printed)), "the code and the link"
    )
    [code], [linked] = CODE.findall(bot.printed), LINK.findall(bot.printed)
    assert code == linked
    return str(code)


async def test_who_sends_the_code_owns_the_bot_also_after_a_restart(
    bot: BotProcess, wire: PlaygroundServer, ann: Person
) -> None:
    bot.setting(allowed_users="")
    code = await code_shown(bot)
    eve = Person(wire, user_id=666)
    eve.says("let me in")
    await eve.sees_among("your user id is 666")
    ann.says(f"/start {code}", "hello")
    await ann.sees_among("This bot is yours now.")
    await ann.sees_among("hello (attempt 1)")
    eve.says("/pair")
    await ann.sees_among("(666) asks to talk to me.")
    ann.presses("Allow")
    await eve.sees_among("You may talk to me now.")
    await bot.kill()
    await bot.start()
    eve.says("hello")
    await eve.sees_among("hello (attempt 1)")
    assert bot.log.count(NOBODY) == 1, "the second start invites nobody"
    assert code not in bot.log


async def test_a_restart_makes_a_new_code_and_the_old_one_is_wrong(bot: BotProcess, ann: Person) -> None:
    bot.setting(allowed_users="")
    old = await code_shown(bot)
    await bot.kill()
    new = await code_shown(bot)
    ann.says(old)
    await ann.sees_among("This code is wrong.")
    ann.says(new)
    await ann.sees_among("This bot is yours now.")


async def test_a_code_is_worth_nothing_when_the_settings_name_an_owner(bot: BotProcess, ann: Person) -> None:
    bot.setting(allowed_users="")
    code = await code_shown(bot)
    await bot.kill()
    bot.setting(allowed_users="666")
    await bot.start()
    ann.says(code)
    await ann.sees_among("This bot is private.")
