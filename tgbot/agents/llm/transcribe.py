"""Asks an OpenAI-compatible server for the words of a recording."""

import logging

from openai import AsyncOpenAI, OpenAIError

from tgbot.agents.llm.media import NotTranscribedError

log = logging.getLogger(__name__)

TRANSCRIBE_SECONDS = 120.0
NO_KEY = "none"  # a server of one's own often wants none, and the client wants some


class Transcriber:
    """Transcribes with a model, at `url` or else OpenAI's, which needs a `key`, here or in OPENAI_API_KEY."""

    def __init__(self, model: str, url: str | None = None, key: str | None = None) -> None:
        self._model = model
        self._url = url
        self._key = key or (NO_KEY if url else None)

    async def __call__(self, name: str, content: bytes) -> str:
        """Give the words; the file's name says its format. Raises NotTranscribedError, and logs why."""
        try:
            # One for each: its connections belong to the event loop, and that may be another next time.
            async with AsyncOpenAI(
                api_key=self._key, base_url=self._url, timeout=TRANSCRIBE_SECONDS
            ) as client:
                answer = await client.audio.transcriptions.create(model=self._model, file=(name, content))
        except (OpenAIError, ValueError) as error:  # ValueError: what says that it is JSON, and is not
            # The class alone: the text may hold a part of the key, or what was said.
            log.warning("llm.not_transcribed reason=%s", type(error).__name__)
            raise NotTranscribedError from None
        words = getattr(answer, "text", None)
        if not isinstance(words, str):
            log.warning("llm.not_transcribed reason=%s", "no text in the answer")
            raise NotTranscribedError
        return words.strip()
