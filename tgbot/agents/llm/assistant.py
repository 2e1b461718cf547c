"""What turns share in one event loop: models and tools."""

import asyncio
from collections.abc import Mapping, Sequence

from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import UserContent
from pydantic_ai.models import Model

from tgbot.agents.llm import commands, menu, models
from tgbot.agents.llm.chosen import MODEL, PROMPT, SETTING, TIME_ZONE
from tgbot.agents.llm.commands import Say
from tgbot.agents.llm.compaction import Compaction
from tgbot.agents.llm.deps import Deps
from tgbot.agents.llm.prompt import instructions
from tgbot.agents.llm.talk import ModelAgent, Talk
from tgbot.agents.llm.tools import loading
from tgbot.agents.llm.tools.marks import Function
from tgbot.agents.llm.tools.servers import Server
from tgbot.config import Settings
from tgbot.store import values
from tgbot.turns.agent import AgentTurn, UserFacingError

CANNOT_BE_USED = "This model cannot be used here: the bot's log says why. Choose another one with /model."


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
            name="tgbot",
        )

    async def answer(self, turn: AgentTurn, say: Say) -> None:
        """Answer one turn, or obey the command that it is for. Raises UserFacingError."""
        match menu.command_of(turn):
            case "new":
                await commands.start_afresh(turn, say)
            case "undo":
                await commands.undo(turn, say)
            case "compact":
                await self._sum_up(turn, say)
            case "retry":
                await self._retry(turn, say)
            case _:
                await self._talk(turn, say, [turn.prompt])

    async def _retry(self, turn: AgentTurn, say: Say) -> None:
        if again := await commands.prompt_again(turn, say):
            await self._talk(turn, say, again)

    async def _talk(self, turn: AgentTurn, say: Say, prompt: list[UserContent]) -> None:
        chosen = await turn.write(values.all_of, turn.ownership, SETTING)
        model = self._model(self._name(chosen.get(MODEL)))
        text = instructions(turn, self._settings.prompt_file, chosen.get(PROMPT), chosen.get(TIME_ZONE))

        async def content() -> list[UserContent]:
            return prompt

        compaction = Compaction(model, turn, self._settings.context_tokens)
        await Talk(self._agent, model, Deps(turn, say, self._settings), compaction).run(text, content)

    async def _sum_up(self, turn: AgentTurn, say: Say) -> None:
        chosen = await turn.write(values.get, turn.ownership, SETTING, MODEL)
        compaction = Compaction(self._model(self._name(chosen)), turn, self._settings.context_tokens)
        await commands.sum_up(turn, say, compaction)

    def _name(self, chosen: str | None) -> str:
        """Give the model that the chat has chosen, or the default where that may not be chosen any more."""
        return chosen if chosen in self._settings.allowed_models else self._settings.model

    def _model(self, name: str) -> Model:
        """Make a model when it is first asked for; its connections stay open until the loop ends."""
        if name not in self._models:
            try:
                model = models.make(name, self._settings)
            except (UserError, ImportError) as error:
                raise UserFacingError(CANNOT_BE_USED) from error
            self._models[name] = model
            self._open.add(asyncio.create_task(_keep_open(model), name=f"model {name}"))
        return self._models[name]


async def _keep_open(model: Model) -> None:
    async with model:
        await asyncio.Event().wait()
