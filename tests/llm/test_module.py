"""The functions of TGBOT_TOOLS: which of them are tools, and what is said of those that cannot be."""

import re
import sys
from pathlib import Path

import pytest

from tests.test_docs import ROOT
from tgbot.agents.llm.tools.marks import Mark, mark_of
from tgbot.agents.llm.tools.module import functions, takes_turn
from tgbot.turns.agent import AgentError


def test_every_public_function_that_the_module_defines_is_a_tool() -> None:
    assert list(functions("tests.llm.user_tools")) == ["add", "thread", "move", "whoami", "chart"]


def test_a_function_that_is_not_marked_runs_freely_once_and_for_a_minute() -> None:
    found = functions("tests.llm.user_tools")
    assert mark_of(found["add"]) == Mark(ask=False, idempotent=False, timeout_seconds=60, progress="")
    assert mark_of(found["move"]) == Mark(
        ask=True, idempotent=True, timeout_seconds=5, progress="Moving, {speed}"
    )


def test_a_first_parameter_that_is_the_turn_is_none_of_the_models() -> None:
    found = functions("tests.llm.user_tools")
    assert [name for name, function in found.items() if takes_turn(function)] == ["whoami", "chart"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nowhere", "cannot import tools 'bad_tools': ModuleNotFoundError: No module named 'nowhere'"),
        ("def f(:", "cannot import tools 'bad_tools': SyntaxError: invalid syntax (bad_tools.py, line 1)"),
        ("raise SystemExit", "cannot import tools 'bad_tools': SystemExit"),
        (
            "from math import sqrt\nclass A: pass",
            "module 'bad_tools' has no public function to use as a tool",
        ),
        (
            "class A: pass\ndef f(a: A): pass",
            "bad_tools.f cannot be a tool: its parameter a has no JSON schema (<class 'bad_tools.A'>)",
        ),
        ("def f(a: 'A'): pass", "bad_tools.f cannot be a tool: name 'A' is not defined"),
        ("async def f(): yield", "bad_tools.f cannot be a tool: it yields; a tool returns its result"),
        (
            "from tgbot.turns.agent import AgentTurn\ndef f(a: int, turn: AgentTurn): pass",
            "bad_tools.f cannot be a tool: the turn has to be its first parameter",
        ),
        (
            "from tgbot.agents.llm.tools import tool\n@tool(progress='At {palce}')\ndef f(place: str): pass",
            "bad_tools.f cannot be a tool: its progress line names {palce}, which is no parameter",
        ),
    ],
)
def test_one_line_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    (tmp_path / "bad_tools.py").write_text(source)
    monkeypatch.chdir(tmp_path)  # as a user has it: beside the bot's .env
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(AgentError) as error:
        functions("bad_tools")
    sys.modules.pop("bad_tools", None)
    assert str(error.value) == said


def test_the_tool_of_the_readme_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    [block] = [block for block in blocks if "tgbot.agents.llm.tools" in block]
    (tmp_path / "tool_of_the_readme.py").write_text(block)
    monkeypatch.syspath_prepend(tmp_path)
    found = functions("tool_of_the_readme")
    assert mark_of(found["send_mail"]) == Mark(ask=True, progress="Writing to {to}")
    assert found.keys() == {"send_mail"}
