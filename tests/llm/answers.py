"""What the model of a test answers, and how it fails: fixtures for aimock, in plain Python.

The first fixture that matches answers. `message` is a part of the last message of the user.
"""

from typing import Any

Fixture = dict[str, Any]  # as aimock reads it
ToolCall = dict[str, Any]

CUT_AFTER_EVENTS = 8  # some of the text in every API, which begin with 1 to 4 events without text
CUT_PIECE_CHARACTERS = 5


def tool(name: str, arguments: dict[str, Any] | None = None, call_id: str = "") -> ToolCall:
    """One call of a tool. Its id is made up by the server, anew for each answer, unless it is given."""
    call: ToolCall = {"name": name, "arguments": arguments or {}}
    return call | {"id": call_id} if call_id else call


def says(message: str, text: str) -> Fixture:
    """Answer a message with a text; "" is an empty answer."""
    # aimock takes no empty content, but calls that are none.
    response = {"content": text} if text else {"toolCalls": [], "finishReason": "stop"}
    return {"match": {"userMessage": message}, "response": response}


def calls(message: str, *tools: ToolCall, text: str = "") -> Fixture:
    """Answer a message with calls of tools (below a text), as long as no tool has run for it."""
    return {"match": {"userMessage": message, "hasToolResult": False}, "response": _calling(text, tools)}


def after_tool(text: str, *tools: ToolCall, result: str = "") -> Fixture:
    """Answer when a tool has run for the last message: with a text, and with further calls.

    With `result`, only if the last tool returned something that contains it.
    """
    match: dict[str, Any] = {"hasToolResult": True}
    if result:
        match["toolResultContains"] = result
    return {"match": match, "response": _calling(text, tools) if tools else {"content": text}}


def transcribes(text: str) -> Fixture:
    """Answer every upload for a transcription with this text."""
    return {"match": {"endpoint": "transcription"}, "response": {"transcription": {"text": text}}}


def fails(  # noqa: PLR0913 - an error of an API has that many sides
    message: str,
    status: int,
    text: str = "The model is unwell",
    *,
    kind: str = "",
    code: str = "",
    retry_after_seconds: float | None = None,
) -> Fixture:
    """Refuse a message; `kind` is the `type` of the error, and Retry-After goes with a 429 only."""
    error = {"message": text, "type": kind or "error", **({"code": code} if code else {})}
    # aimock sends Retry-After with every 429. An empty one counts as none.
    after = "" if retry_after_seconds is None else retry_after_seconds
    return {
        "match": {"userMessage": message},
        "response": {"error": error, "status": status, "retryAfter": after},
    }


def drops(message: str) -> Fixture:
    """Close the connection instead of an answer."""
    return says(message, "Never said.") | {"chaos": {"disconnectRate": 1}}


def in_order(*fixtures: Fixture) -> list[Fixture]:
    """Let each of these answer once, one after the other; they have to match the same messages."""
    return [_matching(fixture, sequenceIndex=index) for index, fixture in enumerate(fixtures)]


def in_turn(index: int, fixture: Fixture) -> Fixture:
    """Let it match only where the model has spoken `index` times in what it is sent."""
    return _matching(fixture, turnIndex=index)


def counted(fixture: Fixture, *, input_tokens: int, output_tokens: int) -> Fixture:
    """Report this usage with the answer."""
    usage = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
    }
    return _responding(fixture, usage=usage)


def finished(fixture: Fixture, reason: str) -> Fixture:
    """End the answer for another reason than "stop": "length", "content_filter".

    "" leaves the reason out, in chat completions only: aimock's other APIs cannot end without one.
    """
    return _responding(fixture, finishReason=reason)


def slow(fixture: Fixture, *, first_seconds: float = 0, pieces_per_second: float = 0) -> Fixture:
    """Let the first event wait, and let the others come at this pace; a piece is 20 characters or less."""
    profile = {"ttft": 1000 * first_seconds, **({"tps": pieces_per_second} if pieces_per_second else {})}
    return fixture | {"streamingProfile": profile}


def cut(fixture: Fixture, *, pieces_per_second: float = 100) -> Fixture:
    """Cut the connection when a part of the text is sent."""
    assert len(fixture["response"]["content"]) >= CUT_AFTER_EVENTS * CUT_PIECE_CHARACTERS, (
        "too short to be cut"
    )
    # Without a pace all is in one buffer still, and lost with the connection.
    paced = slow(fixture, pieces_per_second=pieces_per_second)
    return paced | {"truncateAfterChunks": CUT_AFTER_EVENTS, "chunkSize": CUT_PIECE_CHARACTERS}


def _calling(text: str, tools: tuple[ToolCall, ...]) -> dict[str, Any]:
    return {"toolCalls": list(tools), **({"content": text} if text else {})}


def _matching(fixture: Fixture, **match: object) -> Fixture:
    return fixture | {"match": fixture["match"] | match}


def _responding(fixture: Fixture, **response: object) -> Fixture:
    return fixture | {"response": fixture["response"] | response}
