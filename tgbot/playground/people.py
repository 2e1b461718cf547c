"""The people's side over HTTP, and the controls of a test. Thin: `world.py` does the work."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tgbot.playground.errors import ApiError, bad_request
from tgbot.playground.files import ALBUM_MAX
from tgbot.playground.membership import members
from tgbot.playground.params import read_upload
from tgbot.playground.world import World

Handler = Callable[[Request], Awaitable[object]]


def routes(world: World) -> list[Route]:
    """Return everything below `/playground/`. Answers are JSON; a refusal has Telegram's shape."""
    acts: dict[str, Callable[..., object]] = {
        "messages": world.post_message,
        "contents": world.post_content,
        "edits": world.edit_message,
        "press": world.press,
        "block": world.block,
        "mute": world.mute,
        "stop_draft": world.stop_draft,
        "reactions": world.react_to,
        "chats": world.make_chat,
        "topics": world.make_topic,
    }
    looks: dict[str, Callable[[Request], object]] = {
        "chats": lambda _request: world.chats(),
        "chats/{id}/messages": lambda request: _messages(world, request),
        "chats/{id}/members": lambda request: _members(world, request),
        "callbacks/{id}": lambda request: world.callback(request.path_params["id"]),
        "journal": lambda request: _journal(world, request),
    }
    return [
        *(_route("POST", path, _act(act)) for path, act in acts.items()),
        *(_route("GET", path, _look(look)) for path, look in looks.items()),
        _route("POST", "files", lambda request: _post_files(world, request)),
        _route("POST", "updates", lambda request: _inject(world, request)),
        _route("POST", "faults", lambda request: _faults(world.add_faults, request)),
        _route("PUT", "faults", lambda request: _faults(world.replace_faults, request)),
        _route("DELETE", "faults", _look(lambda _request: world.clear_faults())),
    ]


def _route(verb: str, path: str, handler: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await handler(request))
        except ApiError as error:
            return JSONResponse(error.body(), error.code)

    return Route(f"/playground/{path}", endpoint, methods=[verb])


def _look(look: Callable[[Request], object]) -> Handler:
    async def handler(request: Request) -> object:
        return look(request)

    return handler


def _act(act: Callable[..., object]) -> Handler:
    """Return a handler that calls `act` with the fields of a JSON object, checked by its types."""
    checked = validate_call(config=ConfigDict(strict=True))(act)

    async def handler(request: Request) -> object:
        fields = await _json(request)
        if not isinstance(fields, dict):
            raise bad_request("the body must be a JSON object")
        try:
            return checked(**fields)
        except ValidationError as error:
            first = error.errors()[0]
            raise bad_request(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    return handler


async def _json(request: Request) -> Any:  # noqa: ANN401  it is whatever the body says
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise bad_request("the body must be JSON") from error


def _messages(world: World, request: Request) -> object:
    before, limit = _number(request, "before"), _number(request, "limit")
    thread = _number(request, "message_thread_id") if "message_thread_id" in request.query_params else None
    return world.messages(_to_int(request.path_params["id"]), before or None, limit or None, thread)


def _members(world: World, request: Request) -> object:
    chat = world.chat(_to_int(request.path_params["id"]))
    people = [one["id"] for one in world.chats() if one["id"] > 0]
    return members(chat, [world.person(user_id) for user_id in people], world.bots.values())


def _journal(world: World, request: Request) -> object:
    calls = world.journal.after(_number(request, "after"), request.query_params.get("method", ""))
    return {"calls": calls, "dropped": world.journal.dropped}


async def _post_files(world: World, request: Request) -> object:
    """Take a multipart form: a message's fields, `caption`, `kind`, and one or more parts named `file`."""
    async with request.form(max_files=ALBUM_MAX) as form:
        files = [await read_upload(part) for part in form.getlist("file") if isinstance(part, UploadFile)]
        fields = {name: str(value) for name, value in form.items() if name != "file"}
    return world.post_files(
        _to_int(fields.get("chat_id", "")),
        _to_int(fields.get("user_id", "")),
        files,
        caption=fields.get("caption", ""),
        reply_to_message_id=_to_int(fields.get("reply_to_message_id") or "0") or None,
        message_thread_id=_to_int(fields.get("message_thread_id") or "0") or None,
        kind=fields.get("kind") or None,
    )


async def _inject(world: World, request: Request) -> None:
    world.inject_update(await _json(request))


async def _faults(take: Callable[[list[Any]], None], request: Request) -> None:
    rules = await _json(request)
    if not isinstance(rules, list):
        raise bad_request("the body must be a list of fault rules")
    take(rules)


def _number(request: Request, name: str) -> int:
    return _to_int(request.query_params.get(name, "0"))


def _to_int(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(f'"{text}" is not a number') from error
