"""The buttons below a message that was given up: run it once more, or forget it."""

from tgbot.intake.commands.registry import NOTHING, Reply, button
from tgbot.model import Control, Owner, RowId
from tgbot.store import recovery, turns
from tgbot.store.engine.connection import Connection


@button("retry", args=1)
def retry(conn: Connection, owner: Owner, control: Control, _row_id: RowId) -> Reply:
    """Run once more what was running each time the process died."""
    session_key = control.address.session_key
    assert control.target is not None, "a button has its row"
    if not recovery.retry(conn, owner, session_key, control.target):
        return NOTHING
    return Reply(None, toast="Trying it again.", claimed=turns.claim(conn, session_key, owner))


@button("forget", args=1)
def forget(conn: Connection, _owner: Owner, control: Control, _row_id: RowId) -> Reply:
    """Close the matter: the message is dropped."""
    assert control.target is not None, "a button has its row"
    if not recovery.forget(conn, control.address.session_key, control.target):
        return NOTHING
    return Reply("Forgotten.", instead=True)
