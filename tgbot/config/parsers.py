"""Pure: how the text of a setting becomes its value. Each raises ValueError, with a reason or without one."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tgbot.model import ChatId, UserId

TOKENS_MIN = 10_000  # of a limit: a single request to a model may take as much
PORT_MAX = 65_535
PASSPHRASE_MIN = 16
CONTEXT_MAX = 50  # messages to others that a turn in a group is given
# Nothing of a password may pass for the host, which is shown.
_SERVER = re.compile(
    r"postgresql\+psycopg://([^@/\s]*@)?(?P<host>\[[\da-f:.]+\]|[^@/\s:\[\]]*)(:\d{1,5})?/[^@/?\s]+(\?\S*)?"
)
_PASSWORDS = re.compile(r"://[^:/@]*(:[^@/]+@)|\b((?:ssl)?password=[^&]+)")
_HERE = ("", "localhost", "127.0.0.1", "[::1]")


def token(text: str) -> str:
    """Take a bot's token."""
    # Telegram's ids have at most 52 bits: sixteen digits, and SQLite can keep them.
    if not re.fullmatch(r"[0-9]{1,16}:\S+", text):
        raise ValueError("a token looks like 123456:ABC-DEF")
    return text


def server(text: str) -> str:
    """Take the URL of a server, without the slash at its end."""
    try:
        _ = urlsplit(text).port  # raises for a port that cannot be
    except ValueError:
        raise ValueError("its host or port cannot be") from None
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", text):
        raise ValueError("not the URL of a server")
    return text.rstrip("/")


def webhook(text: str) -> str | None:
    """Take the URL of a webhook, or nothing for none; http:// is for a Bot API server of one's own."""
    if not text:
        return None
    _ = server(text)
    if not re.fullmatch(r"https?://[^/@]+(/[\w.~/-]*)?", text, re.ASCII):
        raise ValueError("its path may have letters, digits and ./~_- in it, and nothing may follow it")
    return text


def database(text: str) -> str:
    """Take the URL of a SQLite file whose folder is there, or of a database on a PostgreSQL server."""
    if text.startswith("postgresql+psycopg://"):
        if not _SERVER.fullmatch(text):
            raise ValueError(
                "its host, port or database cannot be; in a password @ is written %40, and / %2F"
            )
        return text
    path = file_in(text) if re.fullmatch(r"sqlite:///[^?:]+", text) else None
    if path is None:
        raise ValueError("it is neither a SQLite file nor a database on a PostgreSQL server")
    if not path.parent.is_dir():
        raise ValueError("its folder does not exist")
    if path.is_dir():
        raise ValueError("this is a folder")
    return text


def passwords_in(database_url: str) -> tuple[str, ...]:
    """Take the passwords out of a URL, with what is around them: alone they may be any word."""
    return tuple("".join(found) for found in _PASSWORDS.findall(database_url))


def is_server_here(database_url: str) -> bool:
    """Whether it is a database on a PostgreSQL server of this machine."""
    found = _SERVER.fullmatch(database_url)
    if found is None:
        return False
    named = dict(parse_qsl(urlsplit(database_url).query)).get("host", found["host"])
    return named in _HERE or named.startswith("/")  # the folder of a socket


def file_in(database_url: str) -> Path | None:
    """Take the file out of `sqlite:///FILE`; None of another URL."""
    kind, _, path = database_url.partition(":///")
    return Path(path) if kind == "sqlite" else None


def text_file(text: str) -> Path:
    """Take a file that can be read as text."""
    path = Path(text)
    try:
        path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    return path


def key(text: str) -> str:
    """Take a key as providers give them."""
    if not re.fullmatch(r"[!-~]+", text):  # a client would fail on anything else, in odd ways
        raise ValueError("a key has neither spaces nor special characters")
    return text


def passphrase(text: str) -> str:
    """Take a secret that is too long to be guessed."""
    if not re.fullmatch(f"[!-~]{{{PASSPHRASE_MIN},}}", text):
        raise ValueError(f"it needs {PASSPHRASE_MIN} characters or more, without spaces")
    return text


def hosts(text: str) -> tuple[str, ...]:
    """Take names of hosts, without port."""
    names = listed(text.lower())
    if not all(re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:]+", name) for name in names):
        raise ValueError("a name has no port, no path and no scheme")
    return names


def users(text: str) -> tuple[UserId, ...] | None:
    """Take the ids of users; None for everyone."""
    return None if text == "*" else tuple(UserId(count(part)) for part in listed(text))


def chats(text: str) -> tuple[ChatId, ...]:
    """Take the ids of groups and channels, with or without their minus."""
    return tuple(ChatId(-count(part.removeprefix("-"))) for part in listed(text))


def address(text: str) -> tuple[str, int]:
    """Take HOST:PORT, or PORT alone for this machine."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[\w.:\[\]-]*", host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise ValueError
    if int(port) > PORT_MAX:
        raise ValueError
    return host.strip("[]") or "127.0.0.1", int(port)


def listed(text: str) -> tuple[str, ...]:
    """Take what stands between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def count(text: str) -> int:
    """Take a whole number of at least 1."""
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):  # SQLite can keep it
        raise ValueError
    return int(text)


def context(text: str) -> int:
    """Take how many messages to others a turn is given."""
    if not re.fullmatch(r"[0-9]{1,2}", text) or (number := int(text)) > CONTEXT_MAX:
        raise ValueError
    return number


def days(text: str) -> int:
    """Take a whole number of days, or 0."""
    if not re.fullmatch(r"[0-9]{1,5}", text):
        raise ValueError
    return int(text)


def amount(text: str) -> float:
    """Take a number of 0 or more."""
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", text):
        raise ValueError
    return float(text)


def positive(text: str) -> float:
    """Take a number above 0."""
    if not (found := amount(text)):
        raise ValueError
    return found


def tokens(text: str) -> int:
    """Take a limit of tokens that lets at least one request pass."""
    if (number := count(text)) < TOKENS_MIN:
        raise ValueError
    return number


def dollars(text: str) -> Decimal:
    """Take an amount of dollars above 0."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not (found := Decimal(text)):
        raise ValueError
    return found


def flag(text: str) -> bool:
    """Take true or false."""
    return one_of("true", "false")(text.lower()) == "true"


def one_of(*choices: str) -> Callable[[str], str]:
    """Make a parser that takes one of these words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return parse
