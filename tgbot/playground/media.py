"""Bot API methods that send, edit and fetch files."""

from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tgbot.playground import text as texts
from tgbot.playground.bots import Bot
from tgbot.playground.errors import ApiError, bad_request
from tgbot.playground.files import ALBUM_MAX, DOWNLOAD_BYTES_MAX, Stored, Upload, shown
from tgbot.playground.methods import ONE_MESSAGE, SENT, around, inline_keyboard, own_message, replace, silent
from tgbot.playground.registry import Params, Run, method
from tgbot.playground.world import World

ALBUM_MIN = 2

# kind -> what a sender may say about the file, https://core.telegram.org/bots/api#sendphoto and its siblings
DETAILS: dict[str, dict[str, type]] = {
    "photo": {},
    "document": {"disable_content_type_detection": bool},
    "audio": {"duration": int, "performer": str, "title": str},
    "video": {"duration": int, "width": int, "height": int, "supports_streaming": bool},
    "animation": {"duration": int, "width": int, "height": int},
    "voice": {"duration": int},
}
_SHOWN_DETAILS = ("duration", "performer", "title", "width", "height")
CAPTION = {"caption": str, "caption_entities": list}
SPOILER = {"has_spoiler": bool, "show_caption_above_media": bool}


def _sender(kind: str) -> Run:
    def send(world: World, bot: Bot, params: Params) -> object:
        chat = world.chat_to_send(params["chat_id"])
        placed = around(chat, params)
        media = _media(world, kind, params[kind], params)
        content = {**placed, **media, **_caption(params)}
        return world.add_message(chat, bot.user, content, silent=silent(params))

    return send


for _kind, _details in DETAILS.items():
    _optional = {
        **_details,
        **CAPTION,
        **SENT,
        **(SPOILER if _kind in ("photo", "video", "animation") else {}),
    }
    method(f"send{_kind.title()}", {"chat_id": int, _kind: object}, _optional)(_sender(_kind))


@method(
    "sendMediaGroup",
    {"chat_id": int, "media": list},
    {key: kind for key, kind in SENT.items() if key != "reply_markup"},
)
def send_media_group(world: World, bot: Bot, params: Params) -> object:
    """Send an album."""
    chat = world.chat_to_send(params["chat_id"])
    items = [_input_media(item) for item in params["media"]]
    if not ALBUM_MIN <= len(items) <= ALBUM_MAX:
        raise bad_request(f"an album has {ALBUM_MIN} to {ALBUM_MAX} items")
    kinds = {item["type"] for item in items}
    if len(kinds) > 1 and kinds & {"audio", "document"}:
        raise bad_request("document and audio albums can't be mixed with other media")
    placed = around(chat, params)
    contents = [_described(world, item, params) for item in items]
    album = {"media_group_id": f"{bot.id}{chat.id}{world.boxes.next_id(chat.id)}".replace("-", "")}
    return [
        world.add_message(chat, bot.user, {**placed, **album, **content}, silent=silent(params))
        for content in contents
    ]


@method("editMessageMedia", {**ONE_MESSAGE, "media": dict}, {"reply_markup": dict})
def edit_message_media(world: World, bot: Bot, params: Params) -> object:
    """Replace text or media of a message of the bot's own by media."""
    chat = world.chat_to_send(params["chat_id"])
    old = own_message(chat, bot, params["message_id"])
    content = _described(world, _input_media(params["media"]), params)
    if "media_group_id" in old and {"audio", "document"} & (old.keys() ^ content.keys()):
        raise bad_request("message can't be edited to another kind of media in an album")
    return replace(world, chat, old, content | inline_keyboard(params))


@method(
    "editMessageCaption", ONE_MESSAGE, {**CAPTION, "reply_markup": dict, "show_caption_above_media": bool}
)
def edit_message_caption(world: World, bot: Bot, params: Params) -> object:
    """Replace the caption of a message of the bot's own."""
    chat = world.chat_to_send(params["chat_id"])
    old = own_message(chat, bot, params["message_id"])
    media = {kind: old[kind] for kind in DETAILS if kind in old}
    if not media:
        raise bad_request("there is no caption in the message to edit")
    return replace(world, chat, old, media | _caption(params) | inline_keyboard(params))


@method("getFile", {"file_id": str})
def get_file(world: World, _bot: Bot, params: Params) -> object:
    """Return a File with the path to download it from."""
    stored = world.files.get(params["file_id"])
    if stored.size > DOWNLOAD_BYTES_MAX:
        raise bad_request("file is too big")
    return {
        "file_id": stored.file_id,
        "file_unique_id": stored.unique_id,
        "file_size": stored.size,
        "file_path": stored.path,
    }


def download_route(world: World) -> Route:
    """Return `/file/bot{token}/{path}`."""

    async def endpoint(request: Request) -> Response:
        try:
            world.bot(request.path_params["token"])
        except ApiError as error:
            return JSONResponse(error.body(), error.code)
        stored = world.files.content(request.path_params["path"])
        if stored is None:
            return JSONResponse(ApiError(404, "Not Found: no such file").body(), 404)
        return FileResponse(world.files.on_disk(stored), media_type=stored.mime_type)

    return Route("/file/bot{token}/{path:path}", endpoint)


def _input_media(item: object) -> dict[str, Any]:
    """Return an InputMedia object, or refuse it."""
    if not isinstance(item, dict) or item.get("type") not in DETAILS or item["type"] == "voice":
        raise bad_request("can't parse InputMedia: media type is unknown")
    known = {"type", "media", *CAPTION, *SPOILER, *DETAILS[item["type"]]}
    if unknown := item.keys() - known:
        raise bad_request(f'can\'t parse InputMedia: unknown field "{min(unknown)}"')
    return item


def _described(world: World, item: dict[str, Any], params: Params) -> dict[str, Any]:
    """Return the content of a message made of an InputMedia."""
    attached = {"attached": params.get("attached", {})}
    return _media(world, item["type"], item.get("media", ""), item | attached) | _caption(item)


def _media(world: World, kind: str, value: object, params: Params) -> dict[str, Any]:
    """Return the media field of a Message."""
    said = {key: params[key] for key in _SHOWN_DETAILS if key in params and kind not in ("photo", "document")}
    return shown(_stored(world, kind, value, params.get("attached", {})), said)


def _stored(world: World, kind: str, value: object, attached: dict[str, Upload]) -> Stored:
    """Return the file that a parameter means: one uploaded with the request, or one known by its id."""
    if isinstance(value, str) and value.startswith("attach://"):
        value = attached.get(value.removeprefix("attach://"))
        if value is None:
            raise bad_request("wrong file identifier/HTTP URL specified: no such attachment")
    if isinstance(value, Upload):
        return world.keep_file(kind, value)
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        raise bad_request("wrong HTTP URL specified: the playground fetches nothing from the network")
    stored = world.files.get(str(value))
    if stored.kind != kind:
        raise bad_request(f"can't use file of type {stored.kind.title()} as {kind.title()}")
    return stored


def _caption(params: Params) -> dict[str, Any]:
    caption, entities = texts.formatted(
        params.get("caption") or "",
        params.get("caption_entities") or [],
        texts.CAPTION_UNITS_MAX,
        "message caption is too long",
    )
    return ({"caption": caption} if caption else {}) | ({"caption_entities": entities} if entities else {})
