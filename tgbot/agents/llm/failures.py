"""Says in one friendly line why a model did not answer, and whether to ask it again."""

import re
from dataclasses import dataclass

from pydantic_ai import exceptions as failures

RETRY_SECONDS = (1.0, 3.0, 10.0)  # before each further try, where the provider does not say
RETRY_AFTER_MAX_SECONDS = 60.0  # a longer wait is the user's decision

REJECTED = "The model refused this request."
TOO_LONG = "This conversation is too long for the model. Shorten it with /compact, or start afresh with /new."
UNREACHABLE = "The model's provider cannot be reached, or broke off. Try again in a minute."
REASON_CHARACTERS = 500
_LLAMA_TOO_LONG = "exceed_context_size_error"  # llama.cpp's word; the library takes it for any refusal
_MASKED = re.compile(r"\S*\*{3,}\S*")  # a key of which a provider shows the ends: "sk-ab***yz"


class ModelFailedError(Exception):
    """What the log says about a model that failed: one line."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What to say, and in how many seconds the request may be made again; None: it would fail again."""

    words: str
    again_in_seconds: float | None = None


def reason(error: BaseException) -> str:
    """Say in one line of the log what a run raised, without the half-masked keys that providers quote."""
    root = error
    while root.__cause__ is not None and not isinstance(error, failures.ModelHTTPError):
        root = root.__cause__  # "Connection error." alone says nothing
    parts = [f"{type(one).__name__}: {one}" for one in dict.fromkeys((error, root))]
    return _MASKED.sub("***", " ".join(" <- ".join(parts).split()))[:REASON_CHARACTERS]


def understood(error: Exception, tries: int) -> Failure:
    """Understand what a run raised; `tries` counts the requests that failed before."""
    words, passing = _words(error)
    wait_seconds = getattr(error, "retry_after", None)
    if not passing or tries >= len(RETRY_SECONDS):
        return Failure(words)
    if wait_seconds is None:
        return Failure(words, RETRY_SECONDS[tries])
    return Failure(words, wait_seconds if wait_seconds <= RETRY_AFTER_MAX_SECONDS else None)


def is_too_long(error: Exception) -> bool:
    """Whether a request was refused because it has more than the model reads."""
    kind = getattr(error, "provider_error_type", None)
    return isinstance(error, failures.ModelContextWindowExceededError) or kind == _LLAMA_TOO_LONG


def _words(error: Exception) -> tuple[str, bool]:
    """Find the line for an error, and whether it may pass by itself."""
    if is_too_long(error):
        return TOO_LONG, False
    for kind, words, passing in _KINDS:
        if isinstance(error, kind):
            return words, passing
    return "Something went wrong with the model.", False


# The first that fits.
_KINDS: tuple[tuple[type[Exception], str, bool], ...] = (
    (
        failures.ModelQuotaExceededError,
        "The model's quota is used up. The bot's owner has to add credit or wait.",
        False,
    ),
    (failures.ModelRateLimitError, "The model is getting too many requests. Try again in a minute.", True),
    (
        failures.ModelAuthenticationError,
        "The model's provider does not accept the bot's key. The bot's owner has to set a valid one.",
        False,
    ),
    (
        failures.ModelNotFoundError,
        "The model's provider does not know this model. Choose another one with /model.",
        False,
    ),
    (failures.ModelRequestRejectedError, REJECTED, False),
    (failures.ModelUnavailableError, "The model's provider is overloaded. Try again in a minute.", True),
    (failures.ModelServerError, "The model's provider has a problem. Try again in a minute.", True),
    (failures.ModelConnectionError, UNREACHABLE, True),
    (failures.ModelRequestTimeout, "The model took too long to answer. Try again.", True),
    (failures.ContentFilterError, "The model's provider refused to answer this (its content filter).", False),
    (failures.OutputTokenLimitExceeded, "The model's answer was cut off at its limit of tokens.", False),
    (failures.UsageLimitExceeded, "This took more steps than one message may take, so I ended it.", False),
    (failures.UnexpectedModelBehavior, "The model gave no usable answer. Try again.", True),
    (failures.ModelHTTPError, REJECTED, False),
    (failures.ModelAPIError, UNREACHABLE, True),  # a stream that ended without a finish reason
)
