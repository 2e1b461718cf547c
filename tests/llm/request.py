"""What a model was sent: the raw request, and its conversation in the same words for every API."""

import json
from dataclasses import dataclass
from typing import Any

Json = Any  # a body as it came
Message = dict[str, Any]
TEXTS = ("text", "input_text", "output_text")
THOUGHTS = ("thinking", "redacted_thinking")


@dataclass(frozen=True, slots=True)
class Request:
    """One request; the names of its headers are in lower case, its body is parsed JSON, or bytes."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json

    @property
    def messages(self) -> list[Message]:
        """The conversation in it, oldest first, whichever API it is for.

        {"role": "system" | "user" | "assistant" | "tool", "text": "..."}; an assistant that called tools has
        "calls" ([{"name": "...", "arguments": {...}}]), a message with media has "media" (the raw parts).
        """
        if self.path.endswith("/responses"):
            return _of_responses(self.body)
        if self.path.endswith("/messages"):
            return _of_anthropic(self.body)
        return [_of_chat(message) for message in self.body["messages"]]


def check_results(request: Request) -> None:
    """Check that each call has one result right behind it, as providers demand (OpenAI's chat only)."""
    called: list[str] = []
    for message in [*request.body["messages"], {"role": "end"}]:
        if message["role"] == "tool":
            called.remove(message["tool_call_id"])
        else:
            assert not called, f"without a result: {called}"
            called = [call["id"] for call in message.get("tool_calls", ())]


def parse(head: bytes, body: bytes) -> Request:
    """Read a request line with headers, and a body."""
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    is_json = "json" in headers.get("content-type", "")
    return Request(method, path, headers, json.loads(body) if body and is_json else body)


def _of_chat(message: Json) -> Message:
    called = [call["function"] for call in message.get("tool_calls", ())]
    media = message.get("images", ())  # of Ollama's own API
    return _message(message["role"], [*_parts(message.get("content")), *media], called)


def _of_responses(body: Json) -> list[Message]:
    messages = [_message("system", _parts(body["instructions"]))] if body.get("instructions") else []
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        _add_item(messages, item)
    return messages


def _add_item(messages: list[Message], item: Json) -> None:
    match item.get("type", "message"):
        case "function_call_output":
            messages.append(_message("tool", _parts(item["output"])))
        case "function_call":
            if not messages or messages[-1]["role"] != "assistant":
                messages.append(_message("assistant", []))
            messages[-1].setdefault("calls", []).extend(_calls([item]))
        case "message":
            messages.append(_message(item["role"], _parts(item["content"])))


def _of_anthropic(body: Json) -> list[Message]:
    system = [_message("system", _parts(body["system"]))] if body.get("system") else []
    return system + [shown for message in body["messages"] for shown in _of_anthropic_message(message)]


def _of_anthropic_message(message: Json) -> list[Message]:
    parts = _parts(message["content"])
    returned = [part.get("content") for part in parts if part["type"] == "tool_result"]
    called = [part | {"arguments": part["input"]} for part in parts if part["type"] == "tool_use"]
    said = [part for part in parts if part["type"] not in ("tool_result", "tool_use", *THOUGHTS)]
    results = [_message("tool", _parts(content)) for content in returned]
    return results + ([_message(message["role"], said, called)] if said or called else [])


def _message(role: str, parts: list[Json], called: list[Json] | None = None) -> Message:
    texts = [part["text"] for part in parts if _is_text(part)]
    message: Message = {"role": "system" if role == "developer" else role, "text": "".join(texts)}
    if called:
        message["calls"] = _calls(called)
    if media := [part for part in parts if not _is_text(part)]:
        message["media"] = media
    return message


def _parts(content: Json) -> list[Json]:
    """Return the parts of a content, which may be a mere text, or none."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _is_text(part: Json) -> bool:
    return isinstance(part, dict) and part["type"] in TEXTS


def _calls(called: list[Json]) -> list[Json]:
    return [{"name": call["name"], "arguments": _arguments(call["arguments"])} for call in called]


def _arguments(given: Json) -> Json:
    return json.loads(given) if isinstance(given, str) else given
