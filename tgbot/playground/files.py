"""Files that people and bots send: on disk, bounded, found again by file_id."""

import hashlib
import io
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import imagesize

from tgbot.playground.errors import bad_request

ALBUM_MAX = 10  # https://core.telegram.org/bots/api#sendmediagroup
DOWNLOAD_BYTES_MAX = 20 * 1024 * 1024  # https://core.telegram.org/bots/api#getfile
PHOTO_BYTES_MAX = 10 * 1024 * 1024  # https://core.telegram.org/bots/api#sending-files
KEPT_BYTES_MAX = 1024 * 1024 * 1024
KEPT_MAX = 10_000

# kind -> the folder in a file_path, as Telegram names it
FOLDERS = {
    "photo": "photos",
    "document": "documents",
    "audio": "music",
    "video": "videos",
    "animation": "animations",
    "voice": "voice",
    "video_note": "video_notes",
    "sticker": "stickers",
}
UNNAMED = ("voice", "video_note", "sticker")
UNTYPED = ("video_note", "sticker")


@dataclass(frozen=True)
class Upload:
    """A file that came with a request."""

    file_name: str
    mime_type: str
    data: bytes


@dataclass(frozen=True)
class Stored:
    """A file that is kept; `path` is Telegram's file_path."""

    file_id: str
    unique_id: str
    path: str
    kind: str
    file_name: str
    mime_type: str
    size: int
    width: int
    height: int


class Files:
    """The files of a world, in `folder`, or in one that `close` removes. The oldest make room."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self.stored: OrderedDict[str, Stored] = OrderedDict()
        self._count = 0
        self._bytes = 0

    def close(self) -> None:
        """Remove a temporary folder."""
        if self._temporary is not None:
            self._temporary.cleanup()

    def restore(self, stored: Stored) -> None:
        """Take back a file of an earlier run, if it is still there."""
        if not self.on_disk(stored).exists():
            return
        self._count += 1
        self._bytes += stored.size
        self.stored[stored.file_id] = stored

    def add(self, kind: str, upload: Upload) -> Stored:
        """Keep a file. Raises ApiError for an empty one, or a photo that is none."""
        if kind not in FOLDERS:
            raise bad_request(f'"{kind}" is not a kind of file')
        if not upload.data:
            raise bad_request("file must be non-empty")
        width, height = _image_size(upload) if kind == "photo" else (0, 0)
        digest = hashlib.sha256(upload.data).hexdigest()
        self._count += 1
        suffix = PurePosixPath(upload.file_name).suffix
        stored = Stored(
            file_id=f"{kind}-{self._count}-{digest[:16]}",
            unique_id=digest[:16],
            path=f"{FOLDERS[kind]}/file_{self._count}{suffix if suffix.isascii() else ''}",
            kind=kind,
            file_name=PurePosixPath(upload.file_name).name,
            mime_type=upload.mime_type,
            size=len(upload.data),
            width=width,
            height=height,
        )
        self._write(stored, upload.data)
        return stored

    def get(self, file_id: str) -> Stored:
        """Return a file by its id."""
        if file_id not in self.stored:
            raise bad_request("wrong file_id or the file is temporarily unavailable")
        return self.stored[file_id]

    def content(self, path: str) -> Stored | None:
        """Return the file of a file_path."""
        return next((one for one in self.stored.values() if one.path == path), None)

    def on_disk(self, stored: Stored) -> Path:
        """Return where a file's bytes are."""
        if self._folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="playground-")
            self._folder = Path(self._temporary.name)
        return self._folder / stored.path

    def _write(self, stored: Stored, data: bytes) -> None:
        self.on_disk(stored).parent.mkdir(parents=True, exist_ok=True)
        self.on_disk(stored).write_bytes(data)
        self.stored[stored.file_id] = stored
        self._bytes += stored.size
        while self._bytes > KEPT_BYTES_MAX or len(self.stored) > KEPT_MAX:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, oldest = self.stored.popitem(last=False)
        self._bytes -= oldest.size
        self.on_disk(oldest).unlink(missing_ok=True)


def kind_of(upload: Upload) -> str:
    """Return how a messenger would send this file."""
    major, _, minor = upload.mime_type.partition("/")
    if upload.mime_type in ("image/png", "image/jpeg", "image/webp"):
        return "photo"
    if major == "audio":
        return "voice" if minor.startswith(("ogg", "webm")) else "audio"
    return "video" if upload.mime_type == "video/mp4" else "document"


def shown(stored: Stored, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the field of a Message for a file; `extra` has what the sender said (duration, width ...)."""
    base = {"file_id": stored.file_id, "file_unique_id": stored.unique_id, "file_size": stored.size}
    if stored.kind == "photo":
        return {"photo": [{**base, "width": stored.width, "height": stored.height}]}
    typed = {} if stored.kind in UNTYPED else {"mime_type": stored.mime_type}
    named = {} if stored.kind in UNNAMED else {"file_name": stored.file_name}
    return {stored.kind: {**base, **typed, **named, **_DEFAULTS.get(stored.kind, {}), **(extra or {})}}


_DEFAULTS: dict[str, dict[str, Any]] = {
    "audio": {"duration": 0},
    "voice": {"duration": 0},
    "video": {"width": 0, "height": 0, "duration": 0},
    "animation": {"width": 0, "height": 0, "duration": 0},
    "video_note": {"length": 0, "duration": 0},
    "sticker": {"type": "regular", "width": 0, "height": 0, "is_animated": False, "is_video": False},
}


def _image_size(upload: Upload) -> tuple[int, int]:
    """Return a picture's width and height in pixels, or refuse what is no picture."""
    if len(upload.data) > PHOTO_BYTES_MAX:
        raise bad_request("file is too big")
    try:
        width, height = imagesize.get(io.BytesIO(upload.data))
    except (ValueError, OSError) as error:
        raise bad_request("IMAGE_PROCESS_FAILED") from error
    if width < 1 or height < 1:
        raise bad_request("IMAGE_PROCESS_FAILED")
    return width, height
