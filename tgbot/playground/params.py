"""Parameters of a Bot API call, from whichever way HTTP carries them to Python values."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from tgbot.playground.errors import ApiError, bad_request
from tgbot.playground.files import Upload

UPLOAD_BYTES_MAX = 50 * 1024 * 1024  # https://core.telegram.org/bots/api#sending-files
FIELDS_MAX = 100


async def read(request: Request) -> dict[str, Any]:
    """Return the raw parameters: the query's, and over them the body's (form, multipart or JSON)."""
    raw: dict[str, Any] = dict(request.query_params)
    if request.method != "POST":
        return raw
    if request.headers.get("content-type", "").startswith("application/json"):
        return raw | await _json_object(request)
    async with request.form(max_files=FIELDS_MAX, max_fields=FIELDS_MAX) as form:
        for name, value in form.items():
            raw[name] = await read_upload(value) if isinstance(value, UploadFile) else value
    return raw


async def _json_object(request: Request) -> dict[str, Any]:
    body = await request.body()
    try:
        parsed = json.loads(body or b"{}")
    except ValueError as error:
        raise bad_request("can't parse the request body as JSON") from error
    if not isinstance(parsed, dict):
        raise bad_request("the JSON body must be an object")
    return parsed


async def read_upload(file: UploadFile) -> Upload:
    """Return a file of a multipart body."""
    data = await file.read(UPLOAD_BYTES_MAX + 1)
    if len(data) > UPLOAD_BYTES_MAX:
        raise ApiError(413, "Request Entity Too Large")
    return Upload(file.filename or "file", file.content_type or "application/octet-stream", data)


def convert(raw: Mapping[str, Any], kinds: Mapping[str, type], required: frozenset[str]) -> dict[str, Any]:
    """Return the parameters as their kinds, and the files that "attach://" may name beside them.

    A parameter that the method doesn't have is refused: Telegram ignores it, and so hides a typo.
    """
    uploads = {name: value for name, value in raw.items() if isinstance(value, Upload) and name not in kinds}
    values = {name: value for name, value in raw.items() if name not in uploads}
    unknown = sorted(values.keys() - kinds.keys())
    if unknown:
        raise bad_request(f'unknown parameter "{unknown[0]}"')
    converted = {name: _value(name, value, kinds[name]) for name, value in values.items()}
    missing = sorted(required - {name for name, value in converted.items() if value not in ("", None)})
    if missing:
        raise bad_request(
            "message text is empty" if missing == ["text"] else f'parameter "{missing[0]}" is required'
        )
    return converted | ({"attached": uploads} if uploads else {})


def _value(name: str, value: object, kind: type) -> object:
    """Convert one value; a form carries everything as text, nested objects as JSON in it."""
    try:
        if kind is bool:
            return _bool(value)
        if kind is int:
            return _int(value)
        if kind in (list, dict) and isinstance(value, str):
            value = json.loads(value) if value else None
    except ValueError as error:
        raise bad_request(f'can\'t parse parameter "{name}"') from error
    if value is not None and kind is not object and not isinstance(value, kind):
        raise bad_request(f'parameter "{name}" has the wrong type')
    return value


def _bool(value: object) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False, "": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in known:
        raise ValueError(value)
    return known[str(value).lower()]


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(value)  # noqa: TRY004  caught above, with what int() raises
    return int(value)


def for_journal(value: object) -> object:
    """Return a parameter with uploaded files described instead of kept."""
    if isinstance(value, Upload):
        return {"file_name": value.file_name, "size": len(value.data)}
    if isinstance(value, Mapping):
        return {key: for_journal(item) for key, item in value.items()}
    return value
