"""The buttons below a message that was given up: run it once more, or forget it."""

from tgbot.intake.commands.registry import NOTHING, Call, Reply, button
from tgbot.store import claims, recovery

TRIED = "It was tried again already."


@button("retry", args=1)
def retry(call: Call) -> Reply:
    """Run once more what was running each time the process died."""
    if not recovery.retry(call.conn, call.session_key, call.target):
        tried = recovery.was_tried_again(call.conn, call.session_key, call.target)
        return Reply(None, toast=TRIED) if tried else NOTHING
    claimed = claims.claim(call.conn, call.session_key, call.owner)
    return Reply(None, toast="Trying it again.", claimed=claimed)


@button("forget", args=1)
def forget(call: Call) -> Reply:
    """Close the matter: the message is dropped."""
    if not recovery.forget(call.conn, call.session_key, call.target):
        return NOTHING
    return Reply("Forgotten.", instead=True)
