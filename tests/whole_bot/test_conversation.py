"""What a person gets, from the real process over real HTTP."""

from pathlib import Path

from tests.gateway import Gateway
from tests.waiting import eventually
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.server import PlaygroundServer


async def test_a_message_is_answered(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("hello")
    await ann.sees_at_last("hello (attempt 1)")


async def test_help_says_what_the_bot_is_and_the_menu_shows_the_commands(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    await bot.start()
    ann.says("/start", "/help")
    await ann.sees_among("/stop - ")
    await eventually(lambda: len(ann.sees) == 2, "both are answered")
    await eventually(lambda: bool(wire.world.commands()), "the commands menu is set")
    listed = [line[1:].split(" - ") for line in ann.sees[0].split("\n") if line.startswith("/")]
    assert [[one["command"], one["description"]] for one in wire.world.commands()] == listed


async def test_an_unknown_command_goes_to_the_agent_as_text(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("/imagine a cat")
    await ann.sees_at_last("/imagine a cat (attempt 1)")


async def test_follow_ups_are_marked_as_received_and_run_in_order(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    await bot.start()
    gate = tmp_path / "gate"
    first = f"wait for {gate}"
    ann.says(first)
    await bot.logs("turn.claimed")
    ann.says("two", "three")
    await eventually(lambda: [_reactions(m) for m in ann.screen].count(["👀"]) == 2, "both have a reaction")
    gate.touch()
    await ann.sees_at_last(*(f"{said} (attempt 1)" for said in (first, "two", "three")))


def _reactions(message: dict[str, list[dict[str, str]]]) -> list[str]:
    return [reaction["emoji"] for reaction in message.get("reactions", [])]


async def test_status_is_answered_while_a_turn_runs(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("wait for /never")
    await bot.logs("turn.claimed")
    ann.says("next", "/status")
    await ann.sees_among("on: “wait for /never”\nWaiting: 1.")


async def test_stop_is_acted_on_while_a_turn_runs_and_names_what_it_holds(
    bot: BotProcess, ann: Person
) -> None:
    await bot.start()
    ann.says("wait for /never")
    await bot.logs("turn.claimed")
    ann.says("held one", "held two")
    ann.says("/stop")
    await ann.sees_among("1. “held one”\n2. “held two”")
    ann.says("after")
    await ann.sees_among("after (attempt 1)")
    assert len(ann.sees) == 2, "one message for the /stop, and the answer; nothing of what is held"
    ann.says("/resume")
    await ann.sees_among("Running 2 messages")
    await ann.sees_among("held two (attempt 1)")
    assert ann.sees.index("held one (attempt 1)") < ann.sees.index("held two (attempt 1)")


async def test_stop_when_idle_says_so(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("/stop")
    await ann.sees_at_last("Nothing is running.")


async def test_words_behind_a_stop_are_answered_once_it_has_stopped_what_ran(
    bot: BotProcess, ann: Person
) -> None:
    await bot.start()
    ann.says("wait for /never")
    await bot.logs("turn.claimed")
    ann.says("held", "/stop the music please", "after")
    await ann.sees_among("after (attempt 1)")
    on_hold, *answers = ann.sees
    assert on_hold.startswith("Stopped. On hold, not run until you say so:\n1. “held”")
    assert answers == ["the music please (attempt 1)", "after (attempt 1)"]


async def test_the_word_stop_alone_stops_what_runs_and_is_a_message_when_nothing_does(
    bot: BotProcess, ann: Person
) -> None:
    await bot.start()
    ann.says("wait for /never")
    await bot.logs("turn.claimed")
    ann.says("Stop!")
    await ann.sees_at_last("Stopped.")
    await bot.logs("turn.ended")  # "Stopped." may be on screen before: until then the word is a command
    ann.says("Stop!")
    await ann.sees_among("Stop! (attempt 1)")


async def test_the_word_stop_is_a_message_in_a_group(bot: BotProcess, wire: PlaygroundServer) -> None:
    ann = Person(wire, chat_id=-100)
    await bot.start()
    ann.says("wait for /never")
    await bot.logs("turn.claimed")
    ann.says("stop", "/status")
    await ann.sees_among("on: “wait for /never”\nWaiting: 1.")


async def test_what_a_deep_link_carries_reaches_the_agent(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("/start spring_sale-24")
    await ann.sees_at_last("/start spring_sale-24 (attempt 1)")


FORGED = ("stop:1", "resume:1:1", "drop:99", f"stop:{10**17}", "stop:١", "help:1", "x", ":")  # noqa: RUF001 - an Arabic digit


async def test_a_forged_button_only_says_that_it_does_nothing(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    """The row with the id 1 is another person's, who is in the middle of a turn."""
    ben = Person(wire, user_id=8)
    await bot.start()
    ben.says("wait for /never")
    await bot.logs("turn.claimed")
    ann.says("hello")
    await ann.sees_at_last("hello (attempt 1)")
    bubble = next(message["message_id"] for message in ann.screen if message["from"]["is_bot"])
    presses = [wire.world.press(ann.chat_id, bubble, ann.user_id, data) for data in FORGED]
    await eventually(lambda: all(wire.world.callback(one) for one in presses), "each press is answered")
    toasts = [answer.get("text") for one in presses if (answer := wire.world.callback(one))]
    assert toasts == ["This button does nothing any more."] * len(FORGED)
    ben.says("/status")
    await ben.sees_among("Working for")
    assert ann.sees == ["hello (attempt 1)"]


async def test_a_button_acts_on_the_stop_it_was_drawn_for_also_after_a_restart(
    bot: BotProcess, ann: Person
) -> None:
    await bot.start()
    for n in (1, 2):
        ann.says("wait for /never")
        await bot.logs("turn.claimed", times=n)
        ann.says(f"held {n}", "/stop")
        await ann.sees_among(f"1. “held {n}”")
    await bot.kill()
    await bot.start()
    ann.presses("Run them")  # the newest: of the second /stop
    await ann.sees_among("held 2 (attempt 1)")
    await ann.sees_among("Running 1 message now.")
    ann.presses("Drop them")  # the first one's buttons are still there
    await ann.sees_among("Dropped 1 message.")
    assert "held 1 (attempt 1)" not in ann.sees
    assert (await bot.status())["held"] == 0


async def test_a_stranger_gets_their_id_once(bot: BotProcess, wire: PlaygroundServer) -> None:
    bot.setting(allowed_users="7")
    await bot.start()
    eve, ann = Person(wire, user_id=666), Person(wire)
    eve.says("let me in", "please", "/status", "/stop")
    ann.says("hello")
    await eve.sees_among("your user id is 666")
    await ann.sees_at_last("hello (attempt 1)")
    eve.says("again")
    ann.says("still there?")
    await ann.sees_among("still there? (attempt 1)")
    await bot.stop()  # ends the senders: what they would still send, they have sent
    assert len(eve.sees) == 1


async def test_recovery_rechecks_who_may_talk(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("wait for /never", "waiting")
    await bot.logs("turn.claimed")
    await eventually(lambda: bot.log.count("intake.ready") == 1, "it polls")
    ann.says("/status")
    await ann.sees_among("Waiting: 1.")
    await bot.kill()
    bot.setting(allowed_users="1")
    await bot.start()
    await bot.logs("state=dropped", times=2)
    await ann.sees_among("You may not talk to this bot any more")
    assert "waiting (attempt 1)" not in ann.sees


async def test_a_full_queue_says_so_to_the_user(bot: BotProcess, ann: Person) -> None:
    bot.setting(queue_max=2)
    await bot.start()
    ann.says("wait for /never")
    await bot.logs("turn.claimed")
    ann.says("two", "three", "one too many")
    await ann.sees_among("The queue is full (2)")
    assert (await bot.status())["queued"] == 2


async def test_one_update_that_cannot_be_parsed_does_not_stop_the_others(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    bot.gets_sane_updates = False
    await bot.start()
    ann.says("before")
    await ann.sees_among("before (attempt 1)")
    malformed: list[object] = [{"chat": {"id": 7}, "from": 5}, {"from": {}, "text": "x"}, [], "x", None]
    for message in malformed:
        wire.world.inject_update({"message": message})
    wire.world.inject_update({"of a kind": "that does not exist yet"})
    ann.says("after")
    await ann.sees_among("after (attempt 1)")
    await ann.sees_among("could not read")
    assert (await bot.status())["dead"] == 5


async def test_updates_that_no_json_parser_takes_are_parked_once_and_the_others_are_answered(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    bot.gets_sane_updates = False
    deep, long = "[" * 5_000 + "]" * 5_000, "9" * 5_000
    async with Gateway(wire) as gateway:
        bot.setting(api_url=gateway.url)
        await bot.start()
        ann.says("before")
        await ann.sees_among("before (attempt 1)")
        gateway.inject(f'{{"update_id":ID,"message":{{"chat":{{"id":7}},"odd":{deep}}}}}')
        gateway.inject(f'{{"update_id":ID,"message":{{"date":{long}}}}}')
        gateway.inject('{"update_id":12345678901234567890}')
        gateway.inject("5")
        ann.says("after")
        await ann.sees_among("after (attempt 1)")
        gateway.inject(deep)
        await bot.logs("intake.unreadable", times=5)
        ann.says("last")
        await ann.sees_among("last (attempt 1)")
        await ann.sees_among("could not read")
        await bot.kill()
        await bot.start()
        ann.says("once more")
        await ann.sees_among("once more (attempt 1)")
        report = await bot.status()
        assert [(row["why"], row["chat_id"]) for row in report["dead_rows"]] == [
            ("cannot be read", 7),
            *[("cannot be read", None)] * 4,
        ]
        assert sum("could not read" in said for said in ann.sees) == 1
        await bot.kill()


async def test_raw_exception_text_never_reaches_a_chat_and_the_log_has_it_under_the_id(
    bot: BotProcess, ann: Person
) -> None:
    await bot.start()
    ann.says("raise", "next")
    await ann.sees_among("next (attempt 1)")
    apology = ann.sees[0]
    assert "secret" not in apology
    error_id = apology.partition("(error ")[2][:6]
    assert f"error={error_id}" in bot.log
    assert "RuntimeError: the agent's own secret, ***" in bot.log


async def test_a_long_answer_comes_in_parts_in_order(bot: BotProcess, ann: Person) -> None:
    bot.setting(agent="tests.whole_bot.agents:talkative")
    await bot.start()
    ann.says("speak")
    whole = " ".join(f"word{n}" for n in range(2000))
    await eventually(lambda: " ".join(ann.sees) == whole, "the whole text, nothing lost")
    assert [len(said) <= 4096 for said in ann.sees] == [True] * 5


async def test_surrogates_and_other_strange_characters_go_through(bot: BotProcess, ann: Person) -> None:
    bot.setting(agent="echo")
    await bot.start()
    ann.says("👩\u200d👩\u200d👧 naïve ∑ العربية")
    await ann.sees_at_last("👩\u200d👩\u200d👧 naïve ∑ العربية")


async def test_no_message_text_is_logged(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("very private words")
    await ann.sees_at_last("very private words (attempt 1)")
    assert "private" not in bot.log
