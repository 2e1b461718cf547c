"""Every setting: its name, default, parser, and the hint for whoever set it wrongly."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from tgbot.config import parsers
from tgbot.config.parsers import CONTEXT_MAX, TOKENS_MIN
from tgbot.logs import Level, Style
from tgbot.model import MODES, Activation, BotId, ChatId, GroupSessions, Mode, ReactionsIn, UserId


class How(NamedTuple):
    """How a setting is read: `parse` raises ValueError, with a reason where `hint` does not say it all."""

    parse: Callable[[str], object]
    hint: str  # ends the sentence "set it to ..."


TELEGRAM_URL = "https://api.telegram.org"
_SECONDS = "a number of seconds, 0 or more"
_RATE = How(parsers.amount, "a number, 0 or more, 0 for no limit")
_TOKENS = How(
    parsers.tokens, f"a whole number of tokens, at least {TOKENS_MIN}, or leave it out for no limit"
)
_MESSAGES = How(parsers.count, "a whole number of at least 1, or leave it out for no limit")
_PASSPHRASE = How(parsers.passphrase, "a secret of your own, such as `openssl rand -hex 16` prints")
_COST = How(parsers.dollars, "a number of dollars above 0, or leave it out for no limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, with its default. Units stand last in the name."""

    # The bot
    token: Annotated[str, How(parsers.token, "the bot's token, from @BotFather"), "the bot's token"] = field(
        repr=False
    )
    agent: Annotated[
        str,
        How(str, "echo, llm, or package.module:name"),
        "`llm` (a model), or `package.module:name`, an agent of your own",
    ] = "echo"
    database_url: Annotated[
        str,
        How(parsers.database, "sqlite:///FILE, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"),
        "a SQLite file; or `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`, which any number of bots may "
        "work on ([how](scale.md))",
    ] = field(default="sqlite:///tgbot.db", repr=False)
    api_url: Annotated[
        str, How(parsers.server, "a Bot API server, http:// or https://"), "another Bot API server"
    ] = TELEGRAM_URL
    webhook_url: Annotated[
        str | None,
        How(parsers.webhook, "the URL that Telegram is to post to, https://HOST/PATH"),
        "`https://HOST/PATH`: Telegram posts the updates there, instead of being polled "
        "([how](operate.md#a-webhook-instead-of-polling))",
    ] = None
    webhook_address: Annotated[
        tuple[str, int],
        How(parsers.address, "HOST:PORT to listen on, or PORT"),
        "where the bot listens for these posts, behind a proxy",
    ] = (
        "127.0.0.1",
        8443,
    )
    webhook_cert: Annotated[
        Path | None,
        How(parsers.text_file, "a TLS certificate, a PEM file"),
        "a certificate (a PEM file), for TLS without a proxy; one signed by itself is uploaded to Telegram",
    ] = None
    webhook_key: Annotated[
        Path | None,
        How(parsers.text_file, "the key of TGBOT_WEBHOOK_CERT"),
        "its key, if that is not in the same file",
    ] = None

    # Who may talk
    allowed_users: Annotated[
        tuple[UserId, ...] | None,
        How(
            parsers.users, "user ids with commas between (the bot shows a stranger theirs), or * for everyone"
        ),
        "user ids with commas between, the owner's first, or `*`; whom the owner allows in the chat "
        "may talk, too",
    ] = ()
    speakers: Annotated[
        tuple[ChatId, ...],
        How(parsers.chats, "ids of groups and channels with commas between, like -1001234567890"),
        "ids of groups and channels, with commas between, that may talk as such: their anonymous "
        "admins, what is written in a channel's name, a channel's posts",
    ] = ()
    user_minute_messages_max: Annotated[int | None, _MESSAGES, "for each user: messages a minute"] = None
    user_day_turns_max: Annotated[int | None, _MESSAGES, "for each user: turns a day (in UTC)"] = None

    # In groups
    group_activation: Annotated[
        Activation,
        How(parsers.one_of("mention", "always"), "mention or always"),
        "in groups: answer mentions, replies and commands, or `always` everything",
    ] = "mention"
    group_sessions: Annotated[
        GroupSessions,
        How(parsers.one_of("chat", "user"), "chat or user"),
        "in groups: one conversation for all, or for each `user` one of their own",
    ] = "chat"
    group_context_messages: Annotated[
        int,
        How(parsers.context, f"a whole number from 0 to {CONTEXT_MAX}"),
        "in groups: how many of the last messages to others, up to 50, a turn is given",
    ] = 0

    # Turns
    max_turns: Annotated[
        int, How(parsers.count, "a whole number of at least 1"), "turns at once, over all chats"
    ] = 64
    turn_timeout_seconds: Annotated[
        float, How(parsers.positive, "a number of seconds above 0"), "the longest turn"
    ] = 1800
    grace_seconds: Annotated[
        float, How(parsers.amount, _SECONDS), "from SIGTERM until running turns are cut off (they run again)"
    ] = 25
    crashes_max: Annotated[
        int,
        How(
            parsers.count,
            "how often a message may crash the bot before it is given up, a whole number of at least 1",
        ),
        "how often a message may crash the bot before it is given up",
    ] = 3
    mode: Annotated[
        Mode,
        How(parsers.one_of(*MODES), "queue, collect, interrupt or steer"),
        "what becomes of a message that comes while a turn runs, where a chat chose none with `/mode`: "
        "`queue`, `collect`, `interrupt` or `steer`",
    ] = "queue"
    queue_max: Annotated[
        int, How(parsers.count, "a whole number of at least 1"), "messages waiting in one chat"
    ] = 100

    # Answers
    stream: Annotated[
        Literal["edit", "draft", "off"],
        How(parsers.one_of("edit", "draft", "off"), "edit, draft or off"),
        "`draft`: Telegram's native drafts in private chats; `off`: typing, then the answer",
    ] = "edit"
    format: Annotated[
        Literal["entities", "rich"],
        How(parsers.one_of("entities", "rich"), "entities or rich"),
        "`rich`: rich messages, where clients show them",
    ] = "entities"
    receipts: Annotated[
        bool,
        How(parsers.flag, "true or false"),
        "👀 received, ✍ works, 👌 done, 💔 failed, none while it waits for an answer: on the user's own "
        "message",
    ] = True
    reactions: Annotated[
        ReactionsIn,
        How(parsers.one_of("private", "all", "off"), "private, all or off"),
        "in which chats people's reactions to its messages act: `private`, `all` or `off`",
    ] = "private"
    notify_after_seconds: Annotated[
        float,
        How(parsers.amount, f"{_SECONDS}, 0 for no such message"),
        "a turn longer than this, whose answer grew on screen, ends with a “✅” message that notifies; "
        "0 for none",
    ] = 20
    send_within_seconds: Annotated[
        float,
        How(parsers.positive, "a number of seconds above 0"),
        "an older unsent answer is parked and listed, not sent",
    ] = 86400
    rate_overall_per_second: Annotated[
        float, _RATE, "Telegram's limit of messages a second over all chats; 0 for none"
    ] = 30
    rate_chat_per_second: Annotated[float, _RATE, "Telegram's limit in one chat; 0 for none"] = 1
    rate_group_per_minute: Annotated[float, _RATE, "Telegram's limit in one group; 0 for none"] = 20

    # Operation
    keep_days: Annotated[
        int,
        How(parsers.days, "a whole number of days, or 0 to keep all"),
        "how long messages and answers stay in the database once they are done, at least 3 days; 0 keeps all",
    ] = 30
    start_within_seconds: Annotated[
        float,
        How(parsers.amount, f"{_SECONDS}, that a start waits for the database"),
        "how long a start waits for a database that is locked or on a full disk",
    ] = 300
    log: Annotated[
        Style,
        How(parsers.one_of("text", "json"), "text or json"),
        "`json`: one JSON object a line, with the fields of each event",
    ] = "text"
    log_level: Annotated[
        Level,
        How(parsers.one_of("debug", "info", "warning", "error"), "debug, info, warning or error"),
        "the least that is logged: `debug` (each request to Telegram), `info`, `warning` or `error`",
    ] = "info"
    http_address: Annotated[
        tuple[str, int] | None,
        How(parsers.address, "HOST:PORT, or PORT alone for this machine only"),
        "`HOST:PORT`, or `PORT` for this machine only: where `/healthz`, `/readyz`, `/metrics` and the "
        "admin page are served",
    ] = None
    http_hosts: Annotated[
        tuple[str, ...],
        How(parsers.hosts, "names with commas between, like bot.example.org"),
        "names, with commas between, under which a proxy shows the admin page",
    ] = ()
    admin_token: Annotated[
        str | None,
        _PASSPHRASE,
        "a secret of your own of 16 characters or more, which opens the admin page at `HTTP_ADDRESS`",
    ] = field(default=None, repr=False)
    viewer_token: Annotated[str | None, _PASSPHRASE, "another one, which opens it only to look"] = field(
        default=None, repr=False
    )
    traces_url: Annotated[
        str | None,
        How(parsers.server, "an OTLP/HTTP endpoint, like http://localhost:4318/v1/traces"),
        "where traces go: an OTLP/HTTP endpoint, like `http://localhost:4318/v1/traces`; needs "
        "`tgbot[traces]`",
    ] = None

    # A model
    model: Annotated[
        str,
        How(str, "provider:model, like openai:gpt-5-mini"),
        "`openai:…`, `anthropic:…`, `ollama:…`, `openrouter:…`, or any name with `MODEL_URL`",
    ] = ""
    models: Annotated[
        tuple[str, ...],
        How(parsers.listed, "models with commas between"),
        "more models, with commas between, that a chat may choose with `/model`",
    ] = ()
    model_url: Annotated[
        str | None,
        How(parsers.server, "an OpenAI-compatible server, http:// or https://"),
        "an OpenAI-compatible server (llama.cpp, vLLM, LM Studio, Ollama)",
    ] = None
    model_key: Annotated[
        str | None,
        How(parsers.key, "the key of the model's provider"),
        "the key, if it is not in `OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, …",
    ] = field(default=None, repr=False)
    context_tokens: Annotated[
        int,
        How(parsers.count, "a whole number of tokens"),
        "how much a model reads at once, where that is not known",
    ] = 100_000
    prompt_file: Annotated[
        Path | None,
        How(parsers.text_file, "a text file with the instructions for the model"),
        "a text file with the instructions for the model",
    ] = None
    tools: Annotated[
        str | None,
        How(str, "a module whose public functions are tools"),
        "a Python module: its public functions are the model's tools",
    ] = None
    mcp: Annotated[
        Path | None,
        How(parsers.text_file, "a JSON file of MCP servers"),
        "a JSON file of MCP servers, in the common `mcpServers` shape",
    ] = None
    transcribe_model: Annotated[
        str | None,
        How(str, "a model like whisper-1"),
        "a model that turns voice messages into text (`whisper-1`), at `MODEL_URL` or OpenAI",
    ] = None
    turn_steps_max: Annotated[
        int, How(parsers.count, "a whole number of at least 1"), "requests to the model for one message"
    ] = 50
    turn_tokens_max: Annotated[int | None, _TOKENS, "tokens for one message"] = None
    turn_cost_max: Annotated[Decimal | None, _COST, "dollars for one message"] = None
    user_day_tokens_max: Annotated[
        int | None, _TOKENS, "tokens for one user a day (in UTC), in all chats"
    ] = None
    user_day_cost_max: Annotated[Decimal | None, _COST, "dollars for one user a day, in all chats"] = None
    chat_day_tokens_max: Annotated[int | None, _TOKENS, "tokens for one chat a day, all users and topics"] = (
        None
    )
    chat_day_cost_max: Annotated[
        Decimal | None, _COST, "dollars for one chat a day, all users and topics"
    ] = None
    show_cost: Annotated[
        bool, How(parsers.flag, "true or false"), "ends each answer with its tokens and its price"
    ] = False

    @property
    def bot_id(self) -> BotId:
        """The number before the colon of the token: Telegram's id of the bot."""
        return BotId(int(self.token.partition(":")[0]))

    @property
    def owner_id(self) -> UserId | None:
        """The user who owns the bot: the first one who may talk to it. None where everyone may, or nobody."""
        return next(iter(self.allowed_users or ()), None)

    @property
    def page_tokens(self) -> tuple[str, ...]:
        """The secrets that open the admin page."""
        return tuple(filter(None, (self.admin_token, self.viewer_token)))

    @property
    def allowed_models(self) -> tuple[str, ...]:
        """The models that a chat may choose: the default first, each once."""
        return tuple(dict.fromkeys([self.model, *self.models]))

    @property
    def database_file(self) -> Path | None:
        """The SQLite file behind `database_url`; None for a server."""
        return parsers.file_in(self.database_url)

    @property
    def database_passwords(self) -> tuple[str, ...]:
        """The passwords in `database_url`, with what is around them there."""
        return parsers.passwords_in(self.database_url)

    @property
    def database_is_here(self) -> bool:
        """Whether the database is on a PostgreSQL server of this machine."""
        return parsers.is_server_here(self.database_url)
