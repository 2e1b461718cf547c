"""The documents name what exists: the calls on a message's path, files, tests."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
CALLS_MAX = 12
_CALL = re.compile(r"^\d+\. \[`([\w.]+)`\]\(\.\./(tgbot/[\w/]+)\.py\) ", re.MULTILINE)
_NUMBERED = re.compile(r"^\d+\. ", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
_DEFINED = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
_CITED = re.compile(r"\b(test_\w+)\b(?!\.py)(…?)")

_SYMPTOM = re.compile(r"^\| ([^|]*`[^|]*) \|", re.MULTILINE)
_QUOTED = re.compile(r"`([^`]+)`")
_STRINGS_SIDE_BY_SIDE = re.compile(r"\"\s*\n\s*f?\"")

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
PATH = ARCHITECTURE.partition("## The path of one message")[2].partition("\n## ")[0]
CALLS = _CALL.findall(PATH)


def test_the_path_of_a_message_is_a_short_list_of_calls_each_with_its_file() -> None:
    assert 0 < len(_NUMBERED.findall(PATH)) == len(CALLS) <= CALLS_MAX


@pytest.mark.parametrize(("call", "file"), CALLS)
def test_each_call_on_the_path_of_a_message_exists_in_its_file(call: str, file: str) -> None:
    module = importlib.import_module(file.replace("/", "."))
    first, *rest = call.split(".")
    # `turns.end` names its module, `Poller.serve` its class.
    found = module if first == file.rpartition("/")[2] else getattr(module, first)
    for name in rest:
        found = getattr(found, name)
    assert callable(found)
    assert found.__module__ == module.__name__, "defined there, not only imported"


@pytest.mark.parametrize(
    "name", ["README.md", *sorted(f"docs/{d.name}" for d in (ROOT / "docs").glob("*.md"))]
)
def test_each_link_to_a_file_leads_to_one(name: str) -> None:
    document = ROOT / name
    targets = {link or source for link, source in _LINK.findall(document.read_text())}
    files = {target.partition("#")[0] for target in targets if "://" not in target and target[0] != "#"}
    assert [file for file in sorted(files) if not (document.parent / file).exists()] == []


def test_each_test_that_broken_on_purpose_names_exists() -> None:
    sources = [file.read_text() for file in TESTS.rglob("test_*.py")]
    names = [name for source in sources for name in _DEFINED.findall(source)]
    cited = _CITED.findall((ROOT / "docs" / "broken-on-purpose.md").read_text())
    assert cited
    assert [name for name, cut in cited if not _exists(name, names, cut=bool(cut))] == []


def _exists(name: str, names: list[str], *, cut: bool) -> bool:
    return name in names or (cut and any(known.startswith(name) for known in names))


def test_each_line_that_troubleshooting_explains_is_one_that_the_bot_writes() -> None:
    source = "\n".join(file.read_text() for file in (ROOT / "tgbot").rglob("*.py"))
    source = _STRINGS_SIDE_BY_SIDE.sub("", source)
    symptoms = _SYMPTOM.findall((ROOT / "docs" / "troubleshooting.md").read_text())
    quoted = [words for symptom in symptoms for words in _QUOTED.findall(symptom)]
    assert quoted
    assert [words for words in quoted if not _is_written(words, source)] == []


def _is_written(words: str, source: str) -> bool:
    pieces = (piece.strip() for piece in re.split(r"…|TGBOT_\w+", words))
    return all(piece in source for piece in pieces if piece)
