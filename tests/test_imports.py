"""The rooms and their walls: who may import whom is written in pyproject.toml, and kept here."""

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_every_room_is_named_and_imports_only_what_it_may(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(cache_dir=None, no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out
