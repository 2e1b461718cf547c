"""Makes toolsets of the functions and servers that were found at the start. Imports pydantic_ai."""

import asyncio
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, get_type_hints

from pydantic_ai import RunContext, Tool
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset

from tgbot.agents.llm.deps import Deps
from tgbot.agents.llm.tools import builtin
from tgbot.agents.llm.tools.marks import MARK, ORIGIN, Function, mark_of
from tgbot.agents.llm.tools.module import takes_turn
from tgbot.agents.llm.tools.servers import Server
from tgbot.model import Album, File

SENT = "It is sent with your answer."
_CONTEXT = "run_context__"  # the parameter before those of the function


def load(functions: Mapping[str, Function], servers: Sequence[Server]) -> list[AbstractToolset[Deps]]:
    """Make the toolsets, once for an event loop: connections to servers belong to one.

    A function takes the place of a built-in one of its name. Each tool has its mark in its metadata.
    """
    everything = {**builtin.FUNCTIONS, **functions}
    return [_of_functions(everything), *_of_servers(servers, everything)]


def _of_servers(servers: Sequence[Server], taken: Collection[str]) -> Iterator[AbstractToolset[Deps]]:
    if servers:
        from tgbot.agents.llm.tools.mcp import McpTools  # noqa: PLC0415 - who has no servers need not install mcp

        yield McpTools(servers, taken)


def _of_functions(functions: Mapping[str, Function]) -> FunctionToolset[Deps]:
    return FunctionToolset([_tool(name, function) for name, function in functions.items()], id="functions")


def _tool(name: str, function: Function) -> Tool[Deps]:
    metadata = {MARK: asdict(mark_of(function)), ORIGIN: f"{function.__module__}.{name}"}
    return Tool(_called(function), takes_ctx=True, name=name, metadata=metadata)


def _called(function: Function) -> Function:
    """Make of it what pydantic-ai calls: with the run's context first, and never blocking the loop."""
    with_turn = takes_turn(function)

    async def call(context: RunContext[Deps], /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any tool's
        given = (context.deps.turn, *args) if with_turn else args
        return _shown(await _run(function, *given, **kwargs), context.deps)

    _describe(call, function, with_turn=with_turn)
    return call


def _describe(call: Function, function: Function, *, with_turn: bool) -> None:
    """Give the call the signature and the documentation of the function, as the model sees them."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1 if with_turn else 0 :]
    context = inspect.Parameter(_CONTEXT, inspect.Parameter.POSITIONAL_ONLY, annotation=RunContext[Deps])
    hints = {
        name: hint for name, hint in get_type_hints(function, include_extras=True).items() if name != "return"
    }
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[context, *parameters], return_annotation=inspect.Signature.empty
    )
    call.__annotations__ = {**hints, _CONTEXT: RunContext[Deps]}
    call.__name__, call.__qualname__, call.__doc__ = (
        function.__name__,
        function.__qualname__,
        function.__doc__,
    )


async def _run(function: Function, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any tool's
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


def _shown(result: Any, deps: Deps) -> Any:  # noqa: ANN401 - any tool's
    """Send a file that a tool returned; anything else is for the model."""
    if not isinstance(result, File | Album):
        return result
    deps.say(result)
    return SENT
