"""The tools that are always there and need no key: the time, notes for each session, sending a file."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tgbot.agents.llm.chosen import SETTING, TIME_ZONE
from tgbot.agents.llm.tools.marks import Function, tool
from tgbot.model import Ownership
from tgbot.store import values
from tgbot.store.engine.connection import Connection
from tgbot.turns.agent import AgentTurn, File

NOTE = "note"  # the kind of session value (store.values)

NOTES_MAX = 100
NAME_MAX = 100  # characters
NOTE_MAX = 2_000  # characters


@tool(idempotent=True, progress="Looking at the clock")
async def current_time(turn: AgentTurn) -> str:
    """Say what day and time it is where the user is (UTC until set_time_zone was used)."""
    name = await turn.read(values.get, turn.ownership, SETTING, TIME_ZONE) or "UTC"
    now = datetime.now(zone(name) or UTC)
    return f"{now:%A, %Y-%m-%d %H:%M} ({name}, UTC{now:%z})"


@tool(idempotent=True, progress="Setting the time zone to {time_zone}")
async def set_time_zone(turn: AgentTurn, time_zone: str) -> str:
    """Remember the user's time zone, when they say or change where they are.

    Args:
        time_zone: A name of the IANA database, like Europe/Berlin.
    """
    if zone(time_zone) is None:
        return f"{time_zone!r} is no time zone: use a name of the IANA database, like Europe/Berlin."
    await turn.write(values.put, turn.ownership, SETTING, TIME_ZONE, time_zone)
    return f"The time zone is {time_zone}."


@tool(idempotent=True, progress="Remembering {name}")
async def remember(turn: AgentTurn, name: str, text: str) -> str:
    """Keep a note for this chat, also for later conversations; one of the same name is replaced.

    Args:
        name: A few words to find it by.
        text: The note.
    """
    name, text = name.strip(), text.strip()
    if not (0 < len(name) <= NAME_MAX and 0 < len(text) <= NOTE_MAX):
        return f"Not kept: a name has 1 to {NAME_MAX} characters, a note 1 to {NOTE_MAX}."
    kept = await turn.write(_keep, turn.ownership, name, text)
    return "Noted." if kept else f"Not kept: there are {NOTES_MAX} notes already, forget one first."


@tool(idempotent=True, progress="Reading my notes")
async def recall(turn: AgentTurn) -> str:
    """Read all notes of this chat."""
    notes = await turn.read(values.all_of, turn.ownership, NOTE)
    return "\n".join(f"{name}: {text}" for name, text in notes.items()) or "There are no notes."


@tool(idempotent=True, progress="Forgetting {name}")
async def forget(turn: AgentTurn, name: str) -> str:
    """Delete a note of this chat.

    Args:
        name: The name that it was remembered by.
    """
    found = await turn.write(values.remove, turn.ownership, NOTE, name.strip())
    return "Forgotten." if found else f"There is no note {name!r}."


@tool(idempotent=True, progress="Writing {name}")
def send_file(name: str, content: str) -> File | str:
    """Send the user a text file, for what is too long or not made for a chat: code, a table, a list.

    Args:
        name: The name of the file, with its ending, like report.csv.
        content: The whole text.
    """
    return File(name, content.encode()) if content else "Not sent: the file is empty."


FUNCTIONS: dict[str, Function] = {
    function.__name__: function
    for function in (current_time, set_time_zone, remember, recall, forget, send_file)
}


def zone(name: str) -> tzinfo | None:
    """Find a time zone by its IANA name; None if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder ("Europe")
        return None


def _keep(conn: Connection, turn: Ownership, name: str, text: str) -> bool:
    notes = values.all_of(conn, turn, NOTE)
    if name not in notes and len(notes) >= NOTES_MAX:
        return False
    values.put(conn, turn, NOTE, name, text)
    return True
