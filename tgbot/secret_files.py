"""Finds a secret in its variable, in a file that another variable names, or in a credential of systemd."""

from collections.abc import Mapping
from pathlib import Path

CREDENTIALS = "CREDENTIALS_DIRECTORY"  # the folder in which systemd puts a service's credentials


class SecretFileError(ValueError):
    """A secret cannot be read, or there are two; the text is the line for the person at the terminal."""


def file_variable(variable: str) -> str:
    """Name the variable that names a file with the secret, for TGBOT_TOKEN: TGBOT_TOKEN_FILE."""
    return f"{variable}_FILE"


def named_file(variable: str, given: Mapping[str, str]) -> Path | None:
    """Give the file that the environment names for a secret; None if it names none, or is empty."""
    name = given.get(file_variable(variable), "").strip()
    return Path(name) if name else None


def find(variable: str, given: Mapping[str, str]) -> str | None:
    """Find the secret; None if it is nowhere. Raises SecretFileError."""
    files = _files(variable, given)
    sources = [*([variable] if variable in given else []), *files]
    if len(sources) > 1:
        raise SecretFileError(f"{variable} is given more than once, by {' and '.join(sources)}: keep one")
    return next((_content(source, path) for source, path in files.items()), given.get(variable))


def _files(variable: str, given: Mapping[str, str]) -> dict[str, Path]:
    """Map what names a file with this secret to the file."""
    files = {}
    if named := named_file(variable, given):
        files[file_variable(variable)] = named
    # systemd sets the folder also for a service whose credentials are for something else.
    folder, name = given.get(CREDENTIALS), variable.lower()
    if folder and (credential := Path(folder, name)).exists():
        files[f"systemd's credential {name}"] = credential
    return files


def _content(source: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = f"{path} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = f"{path} is not UTF-8"
    raise SecretFileError(f"{source} is wrong ({reason}): name a file with the secret and nothing else")
