"""Changes settings in `.env`; every other line stays as it is."""

import contextlib
import io
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from tgbot.init.asking import InitError

MODE = 0o600
PLAIN = r"[\w.:/@,+*-]*"


def read(path: Path) -> str:
    """Read the file, "" if there is none. Raises InitError."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InitError(f"{path} cannot be read ({error}): correct or remove it") from None


def changed(text: str, values: Mapping[str, str], without: Collection[str]) -> str:
    """Set these values where they stood, or else at the end; take out those of `without`.

    Raises InitError for a value that the format cannot hold.
    """
    left = {name: f"{name}={_quoted(value)}\n" for name, value in values.items()}
    lines = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.key in left:
            lines.append(left.pop(binding.key))
        elif binding.key not in {*without, *values}:
            lines.append(binding.original.string)
    if left and lines and not lines[-1].endswith("\n"):
        lines.append("\n")
    return _proven("".join([*lines, *left.values()]), values)


def write(path: Path, text: str) -> None:
    """Write the file, as a whole or not at all, for its owner only. Raises InitError."""
    path = path.resolve()  # a link stays one
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(fd)
        new.replace(path)
    except OSError as error:
        raise InitError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            new.unlink()


def _quoted(value: str) -> str:
    if re.fullmatch(PLAIN, value, re.ASCII):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _proven(text: str, values: Mapping[str, str]) -> str:
    """Read it as the bot will: a `${…}` in a value, say, would become something else."""
    found = dotenv_values(stream=io.StringIO(text))
    for name, value in values.items():
        if found.get(name) != value:
            raise InitError(f"{name} has characters that no .env can hold: set it in the environment")
    return text
