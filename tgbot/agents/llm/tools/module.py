"""Finds the functions of TGBOT_TOOLS: every public function that the module defines is a tool."""

import inspect
from string import Formatter
from types import ModuleType
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from tgbot.agents.llm.tools.marks import Function, mark_of
from tgbot.turns.agent import AgentError, AgentTurn, import_module


def functions(module_name: str) -> dict[str, Function]:
    """Import the module and give its tools by name. Raises AgentError: one line says what is wrong."""
    module = import_module(module_name, f"tools {module_name!r}")
    found = {name: value for name, value in vars(module).items() if _is_tool(module, name, value)}
    if not found:
        raise AgentError(f"module {module_name!r} has no public function to use as a tool")
    for name, function in found.items():
        try:
            _check(function)
        except (PydanticUserError, NameError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise AgentError(f"{module_name}.{name} cannot be a tool: {reason}") from error
    return found


def takes_turn(function: Function) -> bool:
    """Whether the first parameter is annotated AgentTurn: it is the turn, and no model sees it."""
    first = next(iter(inspect.signature(function).parameters), None)
    return first is not None and get_type_hints(function).get(first) is AgentTurn


def _is_tool(module: ModuleType, name: str, value: object) -> bool:
    return inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")


def _check(function: Function) -> None:
    """Raise one of the errors above if no model can call it."""
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError("it yields; a tool returns its result")
    hints = get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters)[1 if takes_turn(function) else 0 :]
    for parameter in parameters:
        _check_parameter(parameter, hints.get(parameter, Any))
    lacking = _placeholders(mark_of(function).progress).difference(parameters)
    if lacking:
        raise ValueError(f"its progress line names {{{min(lacking)}}}, which is no parameter")


def _check_parameter(name: str, hint: Any) -> None:  # noqa: ANN401 - any annotation
    if hint is AgentTurn:
        raise TypeError("the turn has to be its first parameter")
    try:
        TypeAdapter(hint).json_schema()
    except PydanticUserError:
        raise TypeError(f"its parameter {name} has no JSON schema ({hint})") from None


def _placeholders(progress: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(progress) if field is not None}
