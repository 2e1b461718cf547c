"""Stands before the admin page: under which names it is shown, who may post, what browsers may do."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - to leave them out
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    # Not `no-referrer`: with that a browser would not say from which page a form comes.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Gate:
    """Refuses what comes under a foreign name (DNS rebinding), and what another site posts.

    A SameSite cookie alone would not do: for a browser a page on another port is of the same site.
    """

    def __init__(self, app: ASGIApp, address: str, names: Collection[str]) -> None:
        self._app = app
        self._names = {*LOOPBACK_NAMES, *names, address} - {*ANY_ADDRESS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        why = self._why_not(Headers(scope=scope), scope["method"])
        await (PlainTextResponse(why, 403) if why else self._app)(scope, receive, send_guarded)

    def _why_not(self, headers: Headers, method: str) -> str | None:
        if _name(headers.get("host", "")) not in self._names:
            return "This name is not known here: put it into TGBOT_HTTP_HOSTS.\n"
        if method not in ("GET", "HEAD") and not _is_own(headers):
            return "Only the page itself may do this.\n"
        return None


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_own(headers: Headers) -> bool:
    """Whether a browser says that its own page of this server posts; it sends Origin with every POST."""
    origin = headers.get("origin", "")
    same = headers.get("sec-fetch-site", "same-origin") == "same-origin"
    return same and origin.partition("://")[2] == headers.get("host")
