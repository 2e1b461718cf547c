"""What can be read from a raw Message."""

import pytest

from tgbot.model import start_payload


@pytest.mark.parametrize(
    ("said", "payload"),
    [
        ("/start spring_sale-24", "spring_sale-24"),
        ("/start@the_bot X", "X"),
        ("/START x ", "x"),
        (f"/start {'x' * 64}", "x" * 64),
        ("/start", None),
        ("/start two words", None),
        ("/start ä", None),
        (f"/start {'x' * 65}", None),
        ("/started x", None),
        ("say /start x", None),
    ],
)
def test_a_payload_is_what_a_deep_link_carries(said: str, payload: str | None) -> None:
    assert start_payload({"text": said}) == payload


def test_a_message_without_text_has_no_payload() -> None:
    assert start_payload({"caption": "/start x"}) is None
