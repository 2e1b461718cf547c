"""What came of a tool's call, as the ledger keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai import ModelRetry
from pydantic_ai.messages import ToolReturnContent

from tgbot.model import KeptAlbum, KeptFile


@dataclass(frozen=True, slots=True)
class Result:
    """The value for the model, or what it should do differently (`retry`), and the files for the chat."""

    content: ToolReturnContent = None
    files: tuple[KeptFile | KeptAlbum, ...] = ()
    retry: str | None = None

    def value(self) -> Any:  # noqa: ANN401 - whatever a tool returns
        """Give the value again. Raises ModelRetry where the tool did."""
        if self.retry is not None:
            raise ModelRetry(self.retry)
        return self.content


_ADAPTER: TypeAdapter[Result] = TypeAdapter(Result)


def of(value: Any, files: Sequence[KeptFile | KeptAlbum]) -> Result:  # noqa: ANN401 - as above
    """Make the result of what a tool returned."""
    if isinstance(value, ModelRetry):
        return Result(retry=value.message, files=tuple(files))
    return Result(value, tuple(files))


def dump(result: Result) -> str:
    """Write a result as JSON; what cannot be JSON is text in it."""
    return _ADAPTER.dump_json(result, fallback=str).decode()


def load(content: str) -> Result:
    """Read a result."""
    return _ADAPTER.validate_json(content)
