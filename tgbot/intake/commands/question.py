"""The buttons below a question that a turn asks: the last answer lets it go on."""

from tgbot.intake.commands.registry import NOTHING, Reply, button
from tgbot.model import Control, Owner, RowId
from tgbot.store import questions, turns
from tgbot.store.engine.connection import Connection

NOT_YOURS = "Only the person who was asked can answer this."
ANSWERED = "This was answered already."


@button("answer", args=3)
def answer(conn: Connection, owner: Owner, control: Control, _row_id: RowId) -> Reply:
    """Note the choice that was pressed; the question then says which one it was, and has no buttons."""
    row_id, question_id, number = control.args
    found = questions.find(conn, RowId(row_id), question_id)
    if found is None or number >= len(found.choices):
        return NOTHING
    if control.address.user_id != found.user_id:
        return Reply(None, toast=NOT_YOURS)
    if not found.waits:
        return Reply(None, toast=ANSWERED)
    choice = found.choices[number]
    goes_on = questions.answer(conn, RowId(row_id), question_id, choice.value, found.user_id)
    claimed = turns.claim(conn, control.address.session_key, owner) if goes_on else None
    return Reply(found.text_with(choice), instead=True, toast=choice.label, claimed=claimed)
