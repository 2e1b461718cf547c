"""/model: which model answers in this chat, of those that the settings allow."""

import hashlib

from tgbot.agents.llm.chosen import MODEL, SETTING
from tgbot.intake.commands.registry import NOTHING, Call, Reply, button, command, draw
from tgbot.store import values


@command("model", "show or choose the model", reads_words=True, needs_model=True)
def model(call: Call) -> Reply:
    """Show the model of the chat and a button for each other one, or choose the one that is named."""
    name = call.control.words
    if not name:
        return _show(call)
    if name not in _allowed(call):
        return Reply(f"There is no such model here. You can choose: {', '.join(_allowed(call))}.")
    return _choose(call, name)


@button("model", args=2, needs_model=True)
def choose(call: Call) -> Reply:
    """Choose the model that the button names, if it still may be chosen."""
    _, number = call.control.args
    name = next((one for one in _allowed(call) if _number(one) == number), None)
    return _choose(call, name, instead=True) if name else NOTHING


def _show(call: Call) -> Reply:
    allowed = _allowed(call)
    chosen = values.get_in(call.conn, call.session_key, SETTING, MODEL)
    current = chosen if chosen in allowed else allowed[0]
    buttons = [draw(one, "model", call.row_id, _number(one)) for one in allowed if one != current]
    others = " Choose another one:" if buttons else " It is the only one here."
    return Reply(f"The model of this chat is {current}.{others}", tuple(buttons))


def _choose(call: Call, name: str, *, instead: bool = False) -> Reply:
    values.put_in(call.conn, call.session_key, SETTING, MODEL, name)
    return Reply(f"The model of this chat is {name} from now on.", instead=instead)


def _allowed(call: Call) -> tuple[str, ...]:
    assert call.model_rules, "it is there for a model only"
    return call.model_rules.models


def _number(name: str) -> int:
    """Make the number that stands for a model in a button: the list may be another one when it is pressed."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
