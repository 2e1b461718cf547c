"""What turns share in one event loop: models and tools."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pydantic_ai
from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model

from tgbot.agents.llm import models, prompt
from tgbot.agents.llm.deps import Deps
from tgbot.agents.llm.talk import ModelAgent, Talk
from tgbot.agents.llm.tools import loading
from tgbot.agents.llm.tools.builtin import SETTING, TIME_ZONE
from tgbot.agents.llm.tools.marks import Function
from tgbot.agents.llm.tools.servers import Server
from tgbot.config import Settings
from tgbot.store import values
from tgbot.turns.agent import AgentTurn, Event, UserFacingError

pydantic_ai.BANNER_ENABLED = False  # it would stand among the lines of the log

CANNOT_BE_USED = "This model cannot be used here: the bot's log says why. Choose another one with /model."
TOOL_RETRIES = 5  # how often a model may call a tool wrongly, one time after the other


class Assistant:
    """Answers turns; belongs to the event loop in which it is made."""

    def __init__(
        self, settings: Settings, functions: Mapping[str, Function], servers: Sequence[Server]
    ) -> None:
        self._settings = settings
        self._models: dict[str, Model] = {}
        self._open: set[asyncio.Task[None]] = set()
        self._agent: ModelAgent = Agent(
            deps_type=Deps,
            output_type=[str, DeferredToolRequests],
            toolsets=loading.load(functions),
            retries={"tools": TOOL_RETRIES},
            name="tgbot",
        )

    async def answer(self, turn: AgentTurn, say: Callable[[Event], None]) -> None:
        """Answer one turn. Raises UserFacingError."""
        chosen = await turn.write(values.all_of, turn.ownership, SETTING)
        model = await self._model(chosen.get("model", self._settings.model))
        text = prompt.instructions(
            turn, self._settings.prompt_file, chosen.get("prompt"), chosen.get(TIME_ZONE)
        )
        deps = Deps(turn, say, self._settings)

        async def content() -> list[str]:
            return [turn.prompt]

        await Talk(self._agent, model, turn, deps, say).run(text, content)

    async def _model(self, name: str) -> Model:
        """Make a model when it is first asked for; its connections stay open until the loop ends."""
        if name not in self._models:
            try:  # in a thread: it imports the library of its provider, which takes seconds
                model = await asyncio.to_thread(models.make, name, self._settings)
            except (UserError, ImportError) as error:
                raise UserFacingError(CANNOT_BE_USED) from error
            if name not in self._models:  # another turn may have been faster
                self._models[name] = model
                self._open.add(asyncio.create_task(_keep_open(model), name=f"model {name}"))
        return self._models[name]


async def _keep_open(model: Model) -> None:
    async with model:
        await asyncio.Event().wait()
