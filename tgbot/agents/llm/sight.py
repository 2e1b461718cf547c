"""Says what a model takes besides words, and why it does not take a file."""

import re
from dataclasses import dataclass
from typing import Self

from pydantic_ai.models import Model

from tgbot.agents.llm import sniff
from tgbot.agents.llm.sniff import PDF, PICTURES
from tgbot.turns.context import MB, size_words

PICTURE_SIDE_MAX = 8_000  # pixels (Anthropic)
# Bytes of a picture. Anthropic counts 5 MB and Groq 4 MB, of base64, which is a third longer.
PICTURE_BYTES_MAX = int(3.5 * MB)
_PICTURE_BYTES_MAX = {"openai": 16 * MB, "google": 16 * MB, "ollama": 16 * MB, "groq": int(2.9 * MB)}

NO_PICTURES = "this model cannot see pictures"
NO_PDFS = "this model cannot read PDFs"
DAMAGED = "the picture is damaged"
MOVES = "it moves, and models take still pictures"

# pydantic-ai's profiles say no where that is known, and yes otherwise; a model's name says more. What a
# provider has and is not named here sees: newer models do.
_BLIND = re.compile(
    r"gpt-3\.5|gpt-4($|-[03])|gpt-oss|o1-mini|o3-mini|deepseek|mixtral|codestral|llama-?3(?!.*vision)|qwen-?3-coder"
)
# A server of one's own runs anything, and mostly what does not see.
_SEES = re.compile(
    r"gpt-4o|gpt-4\.1|gpt-[5-9]|claude|gemini|gemma-?[3-9]|llama-?4|llava|vision|pixtral|moondream|minicpm-?[vo]"
    r"|mistral-small|internvl|omni|[0-9-]vl\b"
)
_RELAYED = re.compile(r"gpt-[4-9]|claude|gemini")  # what such a server can only have from a provider
_OWN_SERVERS = frozenset({"ollama", "vllm", "litellm"})


@dataclass(frozen=True, slots=True)
class Sight:
    """Whether a model takes pictures, of at most so many bytes, and documents (PDFs)."""

    pictures: bool
    documents: bool
    picture_bytes_max: int = PICTURE_BYTES_MAX

    @classmethod
    def of(cls, model: Model) -> Self:
        """Find out what a model takes."""
        name, own_server = model.model_name.lower(), _is_own_server(model)
        known = bool(_SEES.search(name)) if own_server else not _BLIND.search(name)
        pictures = known and model.profile.get("supports_image_input", True)
        # Who reads a PDF sees its pages; programs that run models at home take none.
        documents = pictures and _takes_pdfs(model) and (not own_server or bool(_RELAYED.search(name)))
        most = _PICTURE_BYTES_MAX.get(model.system, PICTURE_BYTES_MAX)
        return cls(pictures, documents, PICTURE_BYTES_MAX if "claude" in name else most)

    def refusal(self, kind: str, content: bytes) -> str | None:
        """Say why the model cannot take a picture or PDF of this media type; None if it can."""
        if kind == PDF:
            return None if self.documents else NO_PDFS
        return self._refusal_of_picture(content) if self.pictures else NO_PICTURES

    def refusal_unseen(self, kind: str) -> str | None:
        """Say why the model can take nothing of this media type, whatever is in it."""
        if kind == PDF:
            return None if self.documents else NO_PDFS
        return NO_PICTURES if kind in PICTURES and not self.pictures else None

    def takes(self, content: bytes) -> bool:
        """Whether the model can be sent this file as it is."""
        kind = sniff.media_type(content)
        return kind in {PDF, *PICTURES} and self.refusal(kind, content) is None

    def _refusal_of_picture(self, content: bytes) -> str | None:
        if (size := sniff.pixels(content)) is None:
            return DAMAGED
        if max(size) > PICTURE_SIDE_MAX:
            most = f"{PICTURE_SIDE_MAX:,} on a side"
            return f"it has {size[0]:,} by {size[1]:,} pixels, and this model takes at most {most}"
        if len(content) > self.picture_bytes_max:
            most = size_words(self.picture_bytes_max)
            return f"it has {size_words(len(content))}, and this model takes pictures of at most {most}"
        return MOVES if sniff.moves(content) else None


def _takes_pdfs(model: Model) -> bool:
    types = model.profile.get("supported_document_media_types")
    return model.profile.get("supports_document_input", True) and (types is None or PDF in types)


def _is_own_server(model: Model) -> bool:
    if model.system == "openai":
        return "//api.openai.com" not in (model.base_url or "")
    return model.system in _OWN_SERVERS
