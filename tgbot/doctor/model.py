"""Checks that the servers of the models answer; it asks without a key, so it costs nothing."""

from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx

from tgbot.agents.llm import names
from tgbot.config import Settings
from tgbot.doctor.check import Check, fail, ok, warn
from tgbot.turns.agent import MODEL_AGENT

NAME = "model server"
WAIT_SECONDS = 10.0


async def checks(settings: Settings) -> AsyncIterator[Check]:
    """Check each server that a model of the settings is at."""
    for url in names.servers(settings) if settings.agent == MODEL_AGENT else ():
        yield await _server(url, own=url == settings.model_url)


def answered(host: str, status: int, *, own: bool) -> Check:
    """Judge a server by its answer to a request for its models; `own`: its address is in the settings."""
    what = f"{host} answers with status {status}"
    if own and status == HTTPStatus.NOT_FOUND:
        return warn(NAME, what, "check the path in TGBOT_MODEL_URL, which for most servers ends with /v1")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return warn(NAME, what, "see that server's log, or try again later")
    return ok(NAME, f"{host} answers")


async def _server(url: str, *, own: bool) -> Check:
    host = httpx.URL(url).netloc.decode()  # without a password, which the URL may hold
    try:
        async with httpx.AsyncClient(timeout=WAIT_SECONDS) as client:
            answer = await client.get(f"{url}/models")
    except httpx.HTTPError as error:
        what = f"{host} does not answer ({type(error).__name__})"
        return fail(NAME, what, "start it, or check the network and TGBOT_MODEL_URL")
    return answered(host, answer.status_code, own=own)
