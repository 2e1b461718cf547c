"""The buttons below a question that a turn asks: the last answer lets it go on."""

from tgbot.intake.commands.registry import NOTHING, Call, Reply, button
from tgbot.model import RowId
from tgbot.store import questions, turns

NOT_YOURS = "Only the person who was asked can answer this."
ANSWERED = "This was answered already."


@button("answer", args=3)
def answer(call: Call) -> Reply:
    """Note the choice that was pressed; the question then says which one it was, and has no buttons."""
    row_id, question_id, number = call.control.args
    found = questions.find(call.conn, RowId(row_id), question_id)
    if found is None or number >= len(found.choices):
        return NOTHING
    if call.control.address.user_id != found.user_id:
        return Reply(None, toast=NOT_YOURS)
    if not found.waits:
        return Reply(None, toast=ANSWERED)
    choice = found.choices[number]
    goes_on = questions.answer(call.conn, RowId(row_id), question_id, choice.value, found.user_id)
    claimed = turns.claim(call.conn, call.session_key, call.owner) if goes_on else None
    return Reply(found.text_with(choice), instead=True, toast=choice.label, claimed=claimed)
