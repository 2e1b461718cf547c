"""/mode: what becomes of a message that is sent while a turn runs."""

from tgbot.intake.commands.registry import NOT_FOR_ALL, NOTHING, Call, Reply, button, command, draw
from tgbot.model import MODES, Mode
from tgbot.store import modes

MEANING: dict[Mode, str] = {
    "queue": "Each message you send while I work waits, and gets an answer of its own.",
    "collect": "What you send while I work waits, and is answered together.",
    "interrupt": "A message that you send while I work stops that work and runs at once.",
    "steer": "What you send while I work is taken into account at the next step, where that is possible.",
}


@command("mode", "choose what happens with messages while I work", reads_words=True)
def mode(call: Call) -> Reply:
    """Show the mode of the session and a button for each other one, or choose the one that is named."""
    name = call.control.words.lower()
    if not name:
        return _show(call)
    found = next((one for one in MODES if one == name), None)
    return _choose(call, found) if found else Reply(f"The modes are {', '.join(MODES)}.")


@button("mode", args=2)
def choose(call: Call) -> Reply:
    """Choose the mode of the button."""
    _, number = call.control.args
    return _choose(call, MODES[number], instead=True) if number < len(MODES) else NOTHING


def _show(call: Call) -> Reply:
    current = modes.of(call.conn, call.session_key)
    lines = [f"The mode here is {current}. {MEANING[current]}", "", "The others:"]
    others = [one for one in MODES if one != current]
    lines += [f"{one}: {MEANING[one]}" for one in others]
    return Reply("\n".join(lines), tuple(draw(one, "mode", call.row_id, MODES.index(one)) for one in others))


def _choose(call: Call, chosen: Mode, *, instead: bool = False) -> Reply:
    if not call.may_set_up:
        return Reply(None, toast=NOT_FOR_ALL) if instead else Reply(NOT_FOR_ALL)
    modes.choose(call.conn, call.session_key, chosen)
    return Reply(f"The mode here is {chosen} from now on. {MEANING[chosen]}", instead=instead)
