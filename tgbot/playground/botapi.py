"""The Bot API over HTTP: read the parameters, meet the faults, run the method, keep the journal."""

import asyncio
import contextlib
import inspect
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tgbot.playground import media, methods, webhooks
from tgbot.playground import params as parameters
from tgbot.playground.errors import ApiError
from tgbot.playground.registry import METHODS, Method
from tgbot.playground.wire import Cut, cut
from tgbot.playground.world import World

__all__ = ["media", "methods", "routes", "webhooks"]  # importing the three fills the registry


@dataclass
class Call:
    """One request of a bot, as the journal will tell it."""

    token: str
    method: str
    params: dict[str, Any] = field(default_factory=dict)
    status: int | None = None
    response: dict[str, Any] | None = None
    applied: bool = False
    cut: bool = False

    def entry(self) -> dict[str, Any]:
        """Return the call for the journal."""
        return {
            "token": self.token,
            "method": self.method,
            "params": parameters.for_journal(self.params),
            "status": None if self.cut else self.status,
            "response": self.response,
            "applied": self.applied,
        }


def routes(world: World) -> list[Route]:
    """Return `/bot{token}/{method}` and the download of files."""

    async def endpoint(request: Request) -> Response:
        call = Call(request.path_params["token"], request.path_params["method"])
        try:
            result = await _run(world, call, request)
            call.status, call.response = 200, {"ok": True, "result": result}
        except ApiError as error:
            call.status, call.response = error.code, error.body()
        world.journal.record(call.entry())
        if call.cut:
            return Cut()
        return JSONResponse(call.response, call.status)

    return [Route("/bot{token}/{method}", endpoint, methods=["GET", "POST"]), media.download_route(world)]


async def _run(world: World, call: Call, request: Request) -> object:
    """Run the method, unless a fault comes before."""
    bot = world.bot(call.token)
    method = _method(call.method)
    call.method = method.name
    call.params = await parameters.read(request)
    call.params = parameters.convert(call.params, method.kinds, method.required)
    await _meet_fault(world, call, request)
    result = method.run(world, bot, call.params)
    if inspect.isawaitable(result):
        result = await result
    call.applied = True
    return result


def _method(name: str) -> Method:
    if name.lower() not in METHODS:
        raise ApiError(404, "Not Found: method not found")
    return METHODS[name.lower()]


async def _meet_fault(world: World, call: Call, request: Request) -> None:
    """Wait out a delay, then raise the fault that keeps the call from taking effect, if there is one."""
    delay_seconds, fault = world.faults.strike(call.method, call.params.get("chat_id"))
    if delay_seconds:
        await _pause(world, delay_seconds)
    if fault is None:
        return
    call.cut = fault.kind in ("cut_before", "cut_after", "late")
    if fault.kind == "late":
        cut(request.scope)
        await _pause(world, fault.seconds)
    if fault.kind == "429":
        raise ApiError(
            429, f"Too Many Requests: retry after {fault.retry_after}", retry_after=fault.retry_after
        )
    if fault.kind not in ("cut_after", "late"):
        raise ApiError(500, "Internal Server Error")


async def _pause(world: World, seconds: float) -> None:
    """Wait, but no longer than the world is open."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(world.closing.wait(), seconds)
