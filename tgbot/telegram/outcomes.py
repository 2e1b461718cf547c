"""Pure: what becomes of each kind of update and message, in one place; docs/updates.md says it to people."""

from collections.abc import Collection
from typing import Literal

from tgbot.model import ChatId, Raw

Outcome = Literal["run", "act", "ignore"]

# Every field of the Bot API's Update. Telegram is asked for those that are not ignored, for reactions only
# where the settings want some; what an earlier program asked for may come all the same.
OF_UPDATE: dict[str, Outcome] = {
    "message": "run",
    "edited_message": "act",
    "channel_post": "run",
    "edited_channel_post": "act",
    "business_connection": "ignore",
    "business_message": "ignore",
    "edited_business_message": "ignore",
    "deleted_business_messages": "ignore",
    "guest_message": "ignore",
    "message_reaction": "act",
    "message_reaction_count": "ignore",
    "inline_query": "ignore",
    "chosen_inline_result": "ignore",
    "callback_query": "act",
    "shipping_query": "ignore",
    "pre_checkout_query": "ignore",
    "purchased_paid_media": "ignore",
    "poll": "ignore",
    "poll_answer": "ignore",
    "my_chat_member": "act",
    "chat_member": "ignore",
    "chat_join_request": "ignore",
    "chat_boost": "ignore",
    "removed_chat_boost": "ignore",
    "managed_bot": "ignore",
    "subscription": "ignore",
    "stopped_message_generation": "act",
}
REACTION = "message_reaction"

FOR_ANOTHER_BOT, NOT_ADDRESSED = "for_another_bot", "not_addressed"
# Messages that no turn runs for, by what the log calls them.
IGNORED_MESSAGES = (
    *("on_behalf_of_a_chat", "of_a_bot", "service", "direct_messages"),
    *(FOR_ANOTHER_BOT, NOT_ADDRESSED),
)
# Service messages: events in a chat, not something a person says. All else is for the agent.
_SERVICE = frozenset(
    {
        *("new_chat_members", "left_chat_member", "chat_owner_left", "chat_owner_changed"),
        *("new_chat_title", "new_chat_photo", "delete_chat_photo", "pinned_message"),
        *("group_chat_created", "supergroup_chat_created", "channel_chat_created"),
        *("migrate_to_chat_id", "migrate_from_chat_id", "message_auto_delete_timer_changed"),
        *("successful_payment", "refunded_payment", "users_shared", "chat_shared"),
        *("gift", "unique_gift", "gift_upgrade_sent", "connected_website", "write_access_allowed"),
        *("passport_data", "proximity_alert_triggered", "boost_added", "chat_background_set"),
        *("checklist_tasks_done", "checklist_tasks_added", "poll_option_added", "poll_option_deleted"),
        *("forum_topic_created", "forum_topic_edited", "forum_topic_closed", "forum_topic_reopened"),
        *("general_forum_topic_hidden", "general_forum_topic_unhidden", "managed_bot_created"),
        *("direct_message_price_changed", "paid_message_price_changed"),
        *("giveaway_created", "giveaway_winners", "giveaway_completed"),
        *("suggested_post_approved", "suggested_post_approval_failed", "suggested_post_declined"),
        *("suggested_post_paid", "suggested_post_refunded", "video_chat_scheduled"),
        *("video_chat_started", "video_chat_ended", "video_chat_participants_invited"),
    }
)


def allowed_updates(*, reactions: bool) -> list[str]:
    """List the kinds of update to ask Telegram for."""
    wanted = (kind for kind, outcome in OF_UPDATE.items() if outcome != "ignore")
    return [kind for kind in wanted if reactions or kind != REACTION]


def why_ignored(message: Raw, speakers: Collection[ChatId] = ()) -> str | None:
    """Say which of IGNORED_MESSAGES a message is, whatever its words are; None if it counts."""
    # On behalf of a chat (a channel, an anonymous admin) `from` is a bot that Telegram made up, or not there.
    if "from" not in message or "sender_chat" in message:
        if message.get("sender_chat", {}).get("id") not in speakers:
            return "on_behalf_of_a_chat"
    elif message["from"].get("is_bot"):
        return "of_a_bot"
    if not _SERVICE.isdisjoint(message):
        return "service"
    # A channel's direct messages: an answer there needs more than the id of the chat.
    return "direct_messages" if "direct_messages_topic" in message else None


def ignored_as(raw: Raw, speakers: Collection[ChatId] = ()) -> str | None:
    """Name what an update is, of which `updates.parse` made nothing; None if its outcome is another one."""
    kind = next((kind for kind in OF_UPDATE if kind in raw), "unknown")
    if kind == "message":
        return f"message.{why_ignored(raw['message'], speakers) or FOR_ANOTHER_BOT}"
    return None if kind == "my_chat_member" else kind
