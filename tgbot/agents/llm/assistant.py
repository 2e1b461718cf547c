"""What turns share in one event loop: models and tools."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model

from tgbot.agents.llm import demo_tools, models, names, prompt
from tgbot.agents.llm.deps import Deps
from tgbot.agents.llm.talk import ModelAgent, Talk
from tgbot.agents.llm.tools import loading
from tgbot.agents.llm.tools.builtin import SETTING, TIME_ZONE
from tgbot.agents.llm.tools.marks import Function
from tgbot.agents.llm.tools.servers import Server
from tgbot.config import Settings
from tgbot.store import values
from tgbot.store.joins import FOLLOW_UPS, STEER
from tgbot.turns.agent import AgentTurn, Event, UserFacingError

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
            toolsets=loading.load({**self._demo_tools(), **functions}, servers),
            name="tgbot",
        )

    def _demo_tools(self) -> Mapping[str, Function]:
        return demo_tools.FUNCTIONS if self._settings.model == names.DEMO else {}

    async def answer(self, turn: AgentTurn, say: Callable[[Event], None]) -> None:
        """Answer one turn. Raises UserFacingError."""
        chosen = await turn.read(values.all_of, turn.ownership, SETTING)
        model = self._model(chosen.get("model", self._settings.model))
        text = prompt.instructions(
            turn, self._settings.prompt_file, chosen.get("prompt"), chosen.get(TIME_ZONE)
        )
        deps = Deps(turn, say, self._settings, steers=chosen.get(FOLLOW_UPS) == STEER)

        async def content() -> list[str]:
            return [turn.prompt]

        await Talk(self._agent, model, turn, deps, say).run(text, content)

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
