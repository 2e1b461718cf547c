"""Keeps other web sites out: one open in the same browser could otherwise write to the agent."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


class SameOriginOnly:
    """Refuses a request of another origin, or one that came under a foreign name (DNS rebinding)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http" and not _is_own(Headers(scope=scope), scope["path"]):
            await PlainTextResponse("the playground serves its own page only", 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_own(headers: Headers, path: str) -> bool:
    host, origin = headers.get("host", ""), headers.get("origin")
    if urlsplit(f"//{host}").hostname not in LOOPBACK_NAMES:
        return False
    if origin is not None:
        return urlsplit(origin).netloc == host
    # A browser sends no Origin with a GET, as for a picture, but says who asks. A link here is welcome.
    return path == "/" or headers.get("sec-fetch-site", "none") in ("none", "same-origin")
