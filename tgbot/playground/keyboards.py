"""Reply markup, checked."""

from typing import Any

from tgbot.playground.errors import bad_request

CALLBACK_DATA_BYTES_MAX = 64  # https://core.telegram.org/bots/api#inlinekeyboardbutton
BUTTONS_MAX = 100
_LOOKS = {"text", "icon_custom_emoji_id", "style"}
_ACTIONS = {
    "url",
    "callback_data",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
    "callback_game",
    "pay",
}
_OTHER_KINDS = ("keyboard", "remove_keyboard", "force_reply")


def check_markup(markup: dict[str, Any] | None) -> dict[str, Any]:
    """Return the reply markup of a message to be sent; {} when there is none."""
    if not markup or any(kind in markup for kind in _OTHER_KINDS):
        return markup or {}
    return check_inline_keyboard(markup)


def check_inline_keyboard(markup: dict[str, Any]) -> dict[str, Any]:
    """Return an inline keyboard, or refuse it in Telegram's words."""
    if markup and markup.keys() != {"inline_keyboard"}:
        raise bad_request("object expected as reply markup")
    rows = markup.get("inline_keyboard", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request('field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays')
    buttons = [button for row in rows for button in row]
    if len(buttons) > BUTTONS_MAX:
        raise bad_request("reply markup is too long")
    for button in buttons:
        _check_button(button)
    return markup


def _check_button(button: object) -> None:
    if not isinstance(button, dict) or not button.get("text"):
        raise bad_request('can\'t parse inline keyboard button: field "text" must be non-empty')
    unknown = button.keys() - _LOOKS - _ACTIONS
    if unknown:
        raise bad_request(f'can\'t parse inline keyboard button: unknown field "{min(unknown)}"')
    if len(button.keys() & _ACTIONS) != 1:
        raise bad_request(
            "can't parse inline keyboard button: exactly one of the optional fields must be used"
        )
    if (
        "callback_data" in button
        and not 1 <= len(button["callback_data"].encode()) <= CALLBACK_DATA_BYTES_MAX
    ):
        raise bad_request("BUTTON_DATA_INVALID")
