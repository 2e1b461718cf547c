"""Pure: which messages were sent together, where no mark says so: the pieces of a long text, and forwards.

Telegram marks the parts of an album only. A client that cuts a long text sends its pieces at once, and the
comment on forwarded messages at once before them.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

Raw = dict[str, Any]

TEXT_MAX_UNITS = 4_096  # UTF-16 code units (Bot API, sendMessage)
# A longer text may be cut, and the rest to come. Clients cut at white space: Telegram Desktop at the last
# blank line in the second half of what fits, Android in the last 300 units, iOS behind a line or a sentence.
CUT_FROM_UNITS = 2_048
FORWARDED_MAX = 100  # messages that a client forwards at once
SECONDS_MAX = 2  # between two messages that were sent at once, by Telegram's clock, which counts whole ones

_TEXT, _FORWARDED = "text:", "forward:"


def text_key(message: Raw, user_id: int) -> str:
    """Make the join key of all pieces of a text: same sender, in reply to the same message."""
    return f"{_TEXT}{user_id}:{message.get('reply_to_message', {}).get('message_id')}"


def join_key(message: Raw, user_id: int) -> str | None:
    """Make the join key of a message behind which more may come; None for any other, and for an album."""
    if is_forwarded(message):
        return f"{_FORWARDED}{user_id}"
    return text_key(message, user_id) if is_cut(message) else None


def is_of_text(key: str | None) -> bool:
    """Whether a join key is one of the pieces of a text."""
    return key is not None and key.startswith(_TEXT)


def is_of_forwarded(key: str | None) -> bool:
    """Whether a join key is one of forwarded messages, and the comment on them."""
    return key is not None and key.startswith(_FORWARDED)


def is_forwarded(message: Raw) -> bool:
    """Whether somebody forwarded this message here."""
    return "forward_origin" in message


def is_cut(message: Raw) -> bool:
    """Whether a message may be a piece of a text that goes on in the next one."""
    return _is_text(message) and units(message) > CUT_FROM_UNITS


def units(message: Raw) -> int:
    """Count the UTF-16 units that the text of a message had when it was sent."""
    return int(message.get("text_units") or _length(message.get("text", "")))


def shortened(message: Raw, to: Raw) -> Raw:
    """Let a message from which a name or a command was cut off say how long it was, where that matters."""
    return {**to, "text_units": units(message)} if is_cut(message) else to


def were_sent_at_once(before: Raw, message: Raw) -> bool:
    """Whether so little time is between two messages that no person can have written the second meanwhile."""
    seconds: int = message.get("date", 0) - before.get("date", 0)
    return 0 <= seconds <= SECONDS_MAX


def comments(before: Raw, message: Raw) -> bool:
    """Whether a text is the comment on the forwarded message behind it."""
    return _is_text(before) and is_forwarded(message) and were_sent_at_once(before, message)


def continuation(before: Raw, message: Raw) -> Raw | None:
    """Make a message the next piece of the text of the one before; None if it is not that.

    A piece says in `continues` which message that is, and what is between the two.
    """
    if not (is_cut(before) and _is_text(message) and were_sent_at_once(before, message)):
        return None
    joint = {"message_id": before["message_id"], "separator": _separator(before, message["text"])}
    return {**message, "continues": joint}


def pieces(messages: Sequence[Raw]) -> list[list[int]]:
    """Find which messages are one text: the places of each one's pieces, in order."""
    found: list[list[int]] = []
    by_last: dict[object, list[int]] = {}  # by the id of the last piece
    for place, message in enumerate(messages):
        before = by_last.pop(message["continues"]["message_id"], None) if "continues" in message else None
        if before is None:
            found.append(before := [])
        before.append(place)
        by_last[message.get("message_id")] = before
    return found


def whole_text(messages: Sequence[Raw]) -> Raw:
    """Make one message of the pieces of a text, with all of it."""
    return reduce(_merged, messages)


def merged(messages: Sequence[Raw]) -> list[Raw]:
    """Make one message of the pieces of each text; other messages stay as they are."""
    flat = [piece for message in messages for piece in message.get("pieces", [message])]
    return [whole_text([flat[place] for place in places]) for places in pieces(flat)]


def with_other_pieces(edit: Raw, messages: Sequence[Raw]) -> Raw:
    """Let the edit of a piece have in `pieces` all of its text; any other edit stays as it is."""
    for places in pieces(messages):
        text = [messages[place] for place in places]
        if len(text) > 1 and any(piece["message_id"] == edit["message_id"] for piece in text):
            return {**edit, "pieces": [_edited(piece, edit) for piece in text]}
    return edit


def grouped(messages: Sequence[Raw]) -> list[list[Raw]]:
    """Group messages that run as one turn: the parts of an album are one group, and each other message is."""
    groups: dict[object, list[Raw]] = {}
    for number, message in enumerate(messages):
        groups.setdefault(message.get("media_group_id", number), []).append(message)
    return list(groups.values())


def _is_text(message: Raw) -> bool:
    return "text" in message and not is_forwarded(message)


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _separator(before: Raw, text: str) -> str:
    """Guess what was between two pieces: clients cut at white space, and take it away on both sides.

    Only where not one more character fits did they cut anywhere, and nothing is lost.
    """
    return "" if units(before) + _length(text[:1]) > TEXT_MAX_UNITS else "\n"


def _merged(message: Raw, piece: Raw) -> Raw:
    text = _words(message) + piece["continues"]["separator"]
    start = _length(text)
    moved = [{**entity, "offset": entity["offset"] + start} for entity in piece.get("entities", ())]
    entities = [*message.get("entities", ()), *moved]
    return {**message, "text": text + _words(piece), **({"entities": entities} if entities else {})}


def _edited(piece: Raw, edit: Raw) -> Raw:
    if piece["message_id"] != edit["message_id"]:
        return piece
    return {**edit, "continues": piece["continues"]} if "continues" in piece else edit


def _words(message: Raw) -> str:
    return str(message.get("text") or message.get("caption") or "")  # an edit may add a picture
