"""What the bot says as it starts."""

from tests.whole_bot.process import BotProcess

NOBODY = "WARNING app.nobody_allowed nobody may talk to the bot yet: become its owner with the link"


async def test_a_bot_that_nobody_may_talk_to_says_so_in_one_line(bot: BotProcess) -> None:
    bot.setting(allowed_users="")
    await bot.start()
    await bot.logs("intake.ready")
    assert bot.log.count(NOBODY) == 1


async def test_a_bot_that_somebody_may_talk_to_does_not(bot: BotProcess) -> None:
    bot.setting(allowed_users="7")
    await bot.start()
    await bot.logs("intake.ready")
    assert "nobody" not in bot.log
