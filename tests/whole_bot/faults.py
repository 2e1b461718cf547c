"""Every fault of the Bot API server at once, on a good part of the requests."""

import random

from tgbot.playground.server import PlaygroundServer

SENDING = ("sendMessage", "editMessageText", "editMessageReplyMarkup", "deleteMessage")
METHODS = (*SENDING, "getUpdates", "setMessageReaction")
KINDS = ("cut_before", "cut_after", "500", "429", "delay")
PROBABILITY = 0.06  # of each kind


def rage(wire: PlaygroundServer, dice: random.Random) -> None:
    """Let requests fail from now on, in every way, as the dice have it."""
    wire.world.add_faults(
        [
            {"method": method, "kind": kind, "probability": PROBABILITY, "seed": dice.randrange(2**31)}
            | ({"seconds": 0.3} if kind == "delay" else {})
            for method in METHODS
            for kind in KINDS
        ]
    )
