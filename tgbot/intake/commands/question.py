"""The buttons below a question that a turn asks: the last answer lets it go on."""

from tgbot.intake.commands.registry import NOT_YOURS, NOTHING, Call, Reply, button
from tgbot.model import RowId
from tgbot.store import claims, questions

ANSWERED = "This was answered already."


@button("answer", args=3)
def answer(call: Call) -> Reply:
    """Note the choice that was pressed; the question then says which one it was, and has no buttons."""
    row_id, question_id, number = call.control.args
    found = questions.find(call.conn, RowId(row_id), question_id)
    if found is None or number >= len(found.choices):
        return NOTHING
    user_id = call.control.address.user_id
    if user_id != found.user_id and not call.by_owner:
        return Reply(None, toast=NOT_YOURS)
    if not found.waits:
        return Reply(None, toast=ANSWERED)
    choice = found.choices[number]
    goes_on = questions.answer(call.conn, RowId(row_id), question_id, choice.value, user_id)
    claimed = claims.claim(call.conn, call.session_key, call.owner) if goes_on else None
    return Reply(found.text_with(choice), instead=True, toast=choice.label, claimed=claimed)
