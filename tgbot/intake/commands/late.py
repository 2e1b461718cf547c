"""The button below the offer to show an answer that was kept back, because it was unsent for so long."""

from tgbot.intake.commands.registry import NOTHING, Reply, button
from tgbot.model import Control, Owner, RowId
from tgbot.store import expiry
from tgbot.store.engine.connection import Connection


@button("show", args=1)
def show(conn: Connection, _owner: Owner, control: Control, _row_id: RowId) -> Reply:
    """Show the answer after all."""
    assert control.target is not None, "a button has its row"
    if not expiry.show_expired(conn, control.target):
        return NOTHING
    return Reply("Here is the answer from earlier.", instead=True)
