"""What an MCP server returns, as a model is given it. Imports pydantic_ai and mcp."""

import base64
from typing import Any

from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from pydantic_ai.messages import BinaryContent

_UNKNOWN = "application/octet-stream"


def content_of(result: CallToolResult) -> Any:  # noqa: ANN401 - JSON, or parts with binary content
    """Give the structured content if the rest is only text, which then says the same; else the parts."""
    structured = result.structured_content
    if structured is not None and all(isinstance(part, TextContent) for part in result.content):
        # Servers have to wrap what is no object.
        return structured["result"] if structured.keys() == {"result"} else structured
    parts = [_part(part) for part in result.content]
    return parts[0] if len(parts) == 1 else parts


def text_of(result: CallToolResult) -> str:
    """Give the text parts, as an error has them."""
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def _part(part: ContentBlock) -> str | BinaryContent:
    match part:
        case TextContent():
            return part.text
        case ImageContent() | AudioContent():
            return _binary(part.data, part.mime_type)
        case ResourceLink():
            return str(part.uri)
        case EmbeddedResource():
            return _embedded(part.resource)


def _embedded(resource: TextResourceContents | BlobResourceContents) -> str | BinaryContent:
    if isinstance(resource, TextResourceContents):
        return resource.text
    return _binary(resource.blob, resource.mime_type or _UNKNOWN)


def _binary(data: str, media_type: str) -> BinaryContent:
    return BinaryContent.narrow_type(BinaryContent(base64.b64decode(data), media_type=media_type))
