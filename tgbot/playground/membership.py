"""Who is in a group, and the my_chat_member updates: what a bot may do in a chat has changed."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from tgbot.playground.bots import Bot
from tgbot.playground.chats import Chat

ADMIN = {"id": 1, "is_bot": False, "first_name": "Admin"}  # of every group
_RIGHTS = (
    "send_messages send_audios send_documents send_photos send_videos send_video_notes send_voice_notes "
    "send_polls send_other_messages add_web_page_previews react_to_messages edit_tag change_info "
    "invite_users pin_messages manage_topics"
)
_STATUSES: dict[str, dict[str, Any]] = {
    "member": {},
    "kicked": {"until_date": 0},
    "left": {},
    "restricted": {"is_member": True, "until_date": 0} | {f"can_{right}": False for right in _RIGHTS.split()},
}


def member_change(chat: Chat, bot: Bot, by: dict[str, Any], status: str, *, lost: bool) -> dict[str, Any]:
    """Return the ChatMemberUpdated of a bot that lost a member's rights (it is `status` then) or got them."""

    def member(status: str) -> dict[str, Any]:
        return {"status": status, "user": bot.user, **_STATUSES[status]}

    old, new = ("member", status) if lost else (status, "member")
    return {
        "chat": chat.info,
        "from": by,
        "date": int(time.time()),
        "old_chat_member": member(old),
        "new_chat_member": member(new),
    }


def members(chat: Chat, people: Sequence[dict[str, Any]], bots: Iterable[Bot]) -> list[dict[str, Any]]:
    """Return the ChatMembers of a group, `{"status", "user"}` each: everybody is in every group.

    The person with the lowest id is its owner ("creator").
    """
    owner = min((person["id"] for person in people), default=None)
    bot_status = "restricted" if chat.muted else "member"
    persons = [("creator" if person["id"] == owner else "member", person) for person in people]
    everybody = [*persons, *((bot_status, bot.user) for bot in bots)]
    return [{"status": status, "user": user} for status, user in everybody]
