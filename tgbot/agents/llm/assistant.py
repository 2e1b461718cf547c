"""What turns share in one event loop: models and tools."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pydantic_ai
from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelRequest, UserContent
from pydantic_ai.models import Model

from tgbot.agents.llm import commands, demo_tools, media, media_log, menu, models, names
from tgbot.agents.llm import log as log_of
from tgbot.agents.llm.budget import Budget, limits
from tgbot.agents.llm.chosen import MODEL, PROMPT, SETTING, TIME_ZONE
from tgbot.agents.llm.commands import Say
from tgbot.agents.llm.compaction import Compaction
from tgbot.agents.llm.costs import footer
from tgbot.agents.llm.deps import Deps
from tgbot.agents.llm.prices import price
from tgbot.agents.llm.prompt import instructions
from tgbot.agents.llm.sight import Sight
from tgbot.agents.llm.talk import ModelAgent, Talk
from tgbot.agents.llm.tools import loading
from tgbot.agents.llm.tools.marks import Function
from tgbot.agents.llm.tools.servers import Server
from tgbot.agents.llm.transcribe import Transcriber
from tgbot.config import Settings
from tgbot.store import history, modes, values
from tgbot.turns.agent import AgentTurn, UserFacingError

pydantic_ai.BANNER_ENABLED = False  # it would stand among the lines of the log

CANNOT_BE_USED = "This model cannot be used here: the bot's log says why. Choose another one with /model."
TOOL_RETRIES = 5  # how often a model may call a tool wrongly, one time after the other


class Assistant:
    """Answers turns; belongs to the event loop in which it is made. `settings` gives those of now."""

    def __init__(
        self, settings: Callable[[], Settings], functions: Mapping[str, Function], servers: Sequence[Server]
    ) -> None:
        self._settings_now = settings
        self._transcribe = _transcriber(self._settings)
        self._models: dict[str, Model] = {}
        self._open: set[asyncio.Task[None]] = set()
        self._agent: ModelAgent = Agent(
            deps_type=Deps,
            output_type=[str, DeferredToolRequests],
            toolsets=loading.load({**self._demo_tools(), **functions}, servers),
            retries={"tools": TOOL_RETRIES},
            name="tgbot",
        )

    @property
    def _settings(self) -> Settings:
        return self._settings_now()

    def _demo_tools(self) -> Mapping[str, Function]:
        return demo_tools.FUNCTIONS if self._settings.model == names.DEMO else {}

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
                await self._talk_or_note(turn, say)

    async def _talk_or_note(self, turn: AgentTurn, say: Say) -> None:
        """Answer a message; one that ends before a model is asked is in the log, too, for a /retry."""
        try:
            await self._talk(turn, say, None)
        except BaseException:
            if not await turn.read(history.of_row, turn.ownership, turn.ownership.row_id):
                asked = log_of.dump([ModelRequest.user_text_prompt(turn.prompt)])
                await turn.write(history.append, turn.ownership, "partial", asked)
            raise

    async def _retry(self, turn: AgentTurn, say: Say) -> None:
        if again := await commands.prompt_again(turn, say):
            await self._talk(turn, say, again)

    async def _talk(self, turn: AgentTurn, say: Say, again: list[UserContent] | None) -> None:
        chosen = await turn.read(values.all_of, turn.ownership, SETTING)
        model = await self._model(self._name(chosen.get(MODEL)))
        text = instructions(turn, self._settings.prompt_file, chosen.get(PROMPT), chosen.get(TIME_ZONE))
        mode = await turn.read(modes.of_turn, turn.ownership)
        deps = Deps(turn, say, self._settings, steers=mode == "steer")

        async def content() -> str | list[UserContent]:
            sight = Sight.of(model)
            if again:
                most = media.TURN_BYTES_MAX
                return _plain(await media_log.restored_prompt(again, turn.download, sight, most))
            return _plain(await media.contents(turn, sight, self._transcribe, _sentences(say)))

        budget = self._budget(turn)
        talk = Talk(self._agent, model, deps, self._compaction(model, turn, budget), budget)
        complete = await talk.run(text, content)
        if complete and self._settings.show_cost:
            say(f"\n\n{footer(await budget.total())}")

    async def _sum_up(self, turn: AgentTurn, say: Say) -> None:
        chosen = await turn.read(values.get, turn.ownership, SETTING, MODEL)
        model = await self._model(self._name(chosen))
        await commands.sum_up(turn, say, self._compaction(model, turn, self._budget(turn)))

    def _compaction(self, model: Model, turn: AgentTurn, budget: Budget) -> Compaction:
        return Compaction(model, turn, self._settings.context_tokens, budget)

    def _budget(self, turn: AgentTurn) -> Budget:
        return Budget(turn, limits(self._settings), price)

    def _name(self, chosen: str | None) -> str:
        """Give the model that the chat has chosen, or the default where that may not be chosen any more."""
        return chosen if chosen in self._settings.allowed_models else self._settings.model

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


def _sentences(say: Say) -> Callable[[str], None]:
    return lambda sentence: say(f"{sentence}\n\n")


def _plain(content: list[UserContent]) -> str | list[UserContent]:
    """Take words alone out of their list: servers of one's own may know nothing else."""
    return content[0] if len(content) == 1 and isinstance(content[0], str) else content


def _transcriber(settings: Settings) -> Transcriber | None:
    if settings.transcribe_model is None:
        return None
    return Transcriber(settings.transcribe_model, settings.model_url, names.transcribe_key(settings))


async def _keep_open(model: Model) -> None:
    async with model:
        await asyncio.Event().wait()
