"""The button below the offer to show an answer that was kept back, because it was unsent for so long."""

from tgbot.intake.commands.registry import NOTHING, Call, Reply, button
from tgbot.store import expiry


@button("show", args=1)
def show(call: Call) -> Reply:
    """Show the answer after all."""
    if not expiry.show_expired(call.conn, call.target):
        return NOTHING
    return Reply(expiry.SHOWN, instead=True)
