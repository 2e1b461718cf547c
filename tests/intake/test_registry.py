"""The table of commands and buttons: one function is a command, and what was forged does nothing."""

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, pressed
from tgbot.intake.commands import Call, Reply, menu, registry
from tgbot.model import Button

NO_BUTTON = "This button does nothing any more."


@pytest.fixture
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget at the end what a test registers."""
    monkeypatch.setattr(registry, "_commands", dict(registry._commands))
    monkeypatch.setattr(registry, "_buttons", dict(registry._buttons))


def _toast(instance: Instance, data: str, chat: int = 7) -> str | None:
    [(_, toast)] = instance.press(data, chat=chat).controls
    return toast


def test_the_menu_and_help_list_each_command_once_by_its_name(instance: Instance) -> None:
    assert list(menu(None)) == ["stop", "resume", "drop", "mode", "queue", "status", "activation", "help"]
    instance.say("/help")
    assert [line.split(" - ")[0] for line in instance.answers()[0].split("\n") if line.startswith("/")] == [
        f"/{name}" for name in menu(None)
    ]


@pytest.mark.usefixtures("_own_registry")
def test_a_function_is_a_command_with_help_and_buttons(instance: Instance) -> None:
    @registry.command("dice", "throw them", aliases=("die",))
    def dice(call: Call) -> Reply:
        return Reply(f"{call.control.name}: 4", (registry.draw("Keep", "keep", call.row_id, 4),))

    @registry.button("keep", args=2)
    def keep(call: Call) -> Reply:
        return Reply(f"Kept {call.control.args[1]} of {call.target}.", instead=True)

    assert menu(None)["dice"] == "throw them"
    assert list(menu(None))[-1] == "help"
    instance.say("/die")
    [(row_id,)] = instance.rows("SELECT id FROM pending")
    assert instance.answers() == ["dice: 4"]
    instance.press(f"keep:{row_id}:4")
    assert instance.answers() == [f"Kept 4 of {row_id}."]


@pytest.mark.usefixtures("_own_registry")
def test_no_two_commands_or_buttons_have_one_name() -> None:
    def act(_: Call) -> Reply:
        return Reply("never")

    with pytest.raises(AssertionError, match="two commands /start"):
        registry.command("begin", "again", aliases=("start",))(act)
    with pytest.raises(AssertionError, match="two buttons stop"):
        registry.button("stop", args=1)(act)


def test_only_buttons_that_somebody_answers_can_be_drawn() -> None:
    assert registry.draw("Run them", "resume", 10**18 - 1) == Button("Run them", "resume:999999999999999999")
    with pytest.raises(AssertionError, match="is no button resume"):
        registry.draw("Run them", "resume")
    with pytest.raises(KeyError):
        registry.draw("Run them", "frobnicate", 1)


@pytest.mark.usefixtures("_own_registry")
def test_a_button_whose_data_telegram_would_not_take_cannot_be_drawn() -> None:
    registry.button("x" * 32, args=2)(lambda *_: Reply(None))
    with pytest.raises(AssertionError, match="too long"):
        registry.draw("X", "x" * 32, 10**17, 10**17)


@pytest.mark.parametrize("name", ["stop", "resume", "drop"])
@pytest.mark.parametrize(
    "args",
    [
        *("", ":", ":x", ": {stop}", ":{stop}:", ":{stop}:1", ":{stop}:{stop}", ":-{stop}", ":0x1", ":0"),
        *(":99999", f":{10**17}", f":{10**18}", f":{2**63}", f":{'9' * 60}"),
        *(":١", ":²", ":{stop}\n", ":{other}"),  # noqa: RUF001 - digits that are not ours
    ],
)
def test_a_forged_button_does_nothing_and_says_so(instance: Instance, name: str, args: str) -> None:
    instance.start("a", "b")
    instance.say("/stop", "c", "d")
    instance.start("e", "f", chat=8)
    instance.say("/stop", chat=8)
    [stop, other] = [
        row[0] for row in instance.rows("SELECT id FROM pending WHERE kind = 'control' ORDER BY id")
    ]
    before = instance.states(7), instance.states(8), instance.outbox(7), instance.outbox(8)
    assert _toast(instance, name + args.format(stop=stop, other=other)) == NO_BUTTON
    assert (instance.states(7), instance.states(8), instance.outbox(7), instance.outbox(8)) == before


@pytest.mark.parametrize(
    "data", ["help:{row}", "start:{row}", "status:{row}", "status", "STOP:{row}", "x:{row}"]
)
def test_a_button_of_a_command_that_has_none_does_nothing(instance: Instance, data: str) -> None:
    instance.start("a")
    [(row_id,)] = instance.rows("SELECT id FROM pending")
    before = instance.states(), instance.outbox()
    assert _toast(instance, data.format(row=row_id)) == NO_BUTTON
    assert (instance.states(), instance.outbox()) == before


def test_a_native_stop_of_a_row_that_is_not_there_does_nothing(instance: Instance) -> None:
    instance.start("a")
    before = instance.states(), instance.outbox()
    chat = {"id": 7, "type": "private"}
    instance.receive({"update_id": 90, "stopped_message_generation": {"chat": chat, "draft_id": 2**62}})
    assert (instance.states(), instance.outbox()) == before


def test_a_pressed_stop_that_is_forged_as_a_message_is_words(instance: Instance) -> None:
    instance.start("a")
    instance.receive(raw_message(90, "stop:1"))
    assert instance.states() == {"a": "claimed", "stop:1": "queued"}


def test_a_forged_button_that_comes_again_is_answered_once(instance: Instance) -> None:
    press = pressed(90, "frobnicate:1")
    assert len(instance.receive(press).controls) == 1
    assert instance.receive(press).controls == []
