"""Checks answers on the servers: the token on the Bot API server, a model's key on the model's."""

import asyncio
from http import HTTPStatus

import httpx

from tgbot.agents.llm import names
from tgbot.config import Settings
from tgbot.init.asking import InitError
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import BotApiError, FloodedError, TokenRefusedError

WAIT_SECONDS = 10.0
REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def username(token: str, api_url: str) -> str:
    """Ask whose the token is. Raises InitError."""
    try:
        me = asyncio.run(_me(token, api_url))
    except TokenRefusedError:
        raise InitError("Telegram does not know this token: copy it again from @BotFather") from None
    except FloodedError as error:
        raise InitError(f"too many requests: try again in {error.retry_after_seconds:.0f} s") from None
    except BotApiError as error:
        reason = f"the Bot API server does not answer ({error})"
        raise InitError(f"{reason}: check the network and TGBOT_API_URL") from None
    if not isinstance(me, dict) or not isinstance(me.get("username"), str):
        raise InitError("this is no Bot API server: check TGBOT_API_URL")
    return str(me["username"])


def model(settings: Settings) -> str:
    """Ask the model's server for its models, which costs nothing; say what came of it. Raises InitError."""
    name = names.full(settings.model, settings.model_url)
    servers = names.servers(settings)
    if not servers:
        return f"the server of {name} is not known, so nothing was asked"
    provider, _, short = name.partition(":")
    host = httpx.URL(servers[0]).netloc.decode()
    answer = _asked(
        f"{servers[0]}/{'key' if provider == 'openrouter' else 'models'}", _headers(settings, provider)
    )
    if answer.status_code in REFUSED:
        raise InitError(f"{host} does not accept the key: copy it again from your provider")
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        return f"{host} answers with status {answer.status_code}, so the key was not checked"
    known = _known(answer)
    if known and short not in known:
        return f"{host} answers, but does not list {short}: if it is misspelled, say it again with --model"
    return f"{host} answers"


async def _me(token: str, api_url: str) -> object:
    async with BotApi(token, api_url) as api:
        return await api.call("getMe", WAIT_SECONDS)


def _headers(settings: Settings, provider: str) -> dict[str, str]:
    key = settings.model_key or (None if settings.model_url else names.key_of(provider))
    if not key:
        return {}
    if provider == "anthropic":
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return {"Authorization": f"Bearer {key}"}


def _asked(url: str, headers: dict[str, str]) -> httpx.Response:
    try:
        return httpx.get(url, headers=headers, timeout=WAIT_SECONDS)
    except httpx.HTTPError as error:
        host = httpx.URL(url).netloc.decode()
        why = f"{host} does not answer ({type(error).__name__})"
        raise InitError(f"{why}: start it, or check its address (--model-url) and the network") from None


def _known(answer: httpx.Response) -> set[str]:
    """List the ids of the models in an answer; none if it is of another shape."""
    try:
        listed = answer.json()["data"]
        return {str(one["id"]) for one in listed if isinstance(one, dict) and "id" in one}
    except (ValueError, KeyError, TypeError):
        return set()
