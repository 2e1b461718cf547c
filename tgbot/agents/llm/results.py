"""What came of a tool's call, as the ledger keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai import ModelRetry
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import BinaryContent, ToolReturnContent

from tgbot.model import KeptAlbum, KeptFile, whole

SENT = "[It was sent to the chat.]"


@dataclass(frozen=True, slots=True)
class Result:
    """The value for the model, or what it should do differently (`retry`), or why it `failed`.

    `files` are for the chat, and so are the `words` above them.
    """

    content: ToolReturnContent = None
    files: tuple[KeptFile | KeptAlbum, ...] = ()
    words: str = ""
    retry: str | None = None
    failed: str | None = None

    def value(self) -> Any:  # noqa: ANN401 - whatever a tool returns
        """Give the value again. Raises ModelRetry or ToolFailed where the tool did."""
        if self.retry is not None:
            raise ModelRetry(self.retry)
        if self.failed is not None:
            raise ToolFailed(self.failed)
        return self.content

    def shown(self) -> Any:  # noqa: ANN401 - as above
        """Give what the model reads in the place of a value."""
        return self.retry or self.failed or self.content


_ADAPTER: TypeAdapter[Result] = TypeAdapter(Result)
_JSON: TypeAdapter[Any] = TypeAdapter(Any)


def of(value: Any, files: Sequence[KeptFile | KeptAlbum], words: str = "") -> Result:  # noqa: ANN401 - as above
    """Make the result of what a tool returned."""
    if isinstance(value, ModelRetry):
        return Result(retry=whole(value.message), files=tuple(files), words=words)
    if isinstance(value, ToolFailed):
        return Result(failed=whole(value.message), files=tuple(files), words=words)
    return Result(value, tuple(files), words)


def cut(result: Result, characters_max: int) -> Result:
    """Cut the words of a result that are more than a model should read at once; its pictures stay."""
    words = _text(result.shown())
    if len(words) <= characters_max:
        return result
    short = f"{words[:characters_max]}\n… cut, {len(words):,} characters in all"
    if result.retry is not None:
        return replace(result, retry=short)
    if result.failed is not None:
        return replace(result, failed=short)
    files = files_in(result.content)
    return replace(result, content=[short, *files] if files else short)


def _text(value: Any) -> str:  # noqa: ANN401 - as above
    """Write a value as a model reads it."""
    try:
        return value if isinstance(value, str) else _JSON.dump_json(_worded(value), fallback=str).decode()
    except (ValueError, RecursionError):  # as in `dump`
        return str(value)


def files_in(value: Any) -> list[BinaryContent]:  # noqa: ANN401 - as above
    """Find what a tool made: a picture, a recording, also several in a list or by names."""
    match value:
        case BinaryContent():
            return [value]
        case dict():
            return [content for one in value.values() for content in files_in(one)]
        case list() | tuple():
            return [content for one in value for content in files_in(one)]
    return []


def dump(result: Result) -> str:
    """Write a result as JSON: what cannot be JSON is text in it, and so is a file, which the chat has."""
    try:
        return _ADAPTER.dump_json(replace(result, content=_worded(result.content)), fallback=str).decode()
    except (ValueError, RecursionError):  # bytes, half a character, a list within itself
        return dump(replace(result, content=whole(str(result.content))))


def _worded(value: Any) -> Any:  # noqa: ANN401 - as above
    match value:
        case BinaryContent():
            return SENT
        case dict():
            return {name: _worded(one) for name, one in value.items()}
        case list() | tuple():
            return [_worded(one) for one in value]
    return value


def load(content: str) -> Result:
    """Read a result."""
    return _ADAPTER.validate_json(content)
