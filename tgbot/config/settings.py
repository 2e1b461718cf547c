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

    token: Annotated[str, How(parsers.token, "the bot's token, from @BotFather")] = field(repr=False)
    api_url: Annotated[str, How(parsers.server, "a Bot API server, http:// or https://")] = (
        "https://api.telegram.org"
    )
    database_url: Annotated[str, How(parsers.database, "sqlite:///FILE")] = "sqlite:///tgbot.db"
    agent: Annotated[str, How(str, "echo, llm, or package.module:name")] = "echo"
    model: Annotated[str, How(str, "provider:model, like openai:gpt-5-mini")] = ""
    models: Annotated[tuple[str, ...], How(parsers.listed, "models with commas between")] = ()
    context_tokens: Annotated[int, How(parsers.count, "a whole number of tokens")] = 100_000
    model_url: Annotated[
        str | None, How(parsers.server, "an OpenAI-compatible server, http:// or https://")
    ] = None
    model_key: Annotated[str | None, How(parsers.key, "the key of the model's provider")] = field(
        default=None, repr=False
    )
    transcribe_model: Annotated[str | None, How(str, "a model like whisper-1")] = None
    prompt_file: Annotated[
        Path | None, How(parsers.text_file, "a text file with the instructions for the model")
    ] = None
    tools: Annotated[str | None, How(str, "a module whose public functions are tools")] = None
    mcp: Annotated[Path | None, How(parsers.text_file, "a JSON file of MCP servers")] = None
    allowed_users: Annotated[
        tuple[UserId, ...] | None,
        How(
            parsers.users, "user ids with commas between (the bot shows a stranger theirs), or * for everyone"
        ),
    ] = ()
    speakers: Annotated[
        tuple[ChatId, ...],
        How(parsers.chats, "ids of groups and channels with commas between, like -1001234567890"),
    ] = ()
    group_activation: Annotated[Activation, How(parsers.one_of("mention", "always"), "mention or always")] = (
        "mention"
    )
    group_sessions: Annotated[GroupSessions, How(parsers.one_of("chat", "user"), "chat or user")] = "chat"
    group_context_messages: Annotated[
        int, How(parsers.context, f"a whole number from 0 to {CONTEXT_MAX}")
    ] = 0
    reactions: Annotated[ReactionsIn, How(parsers.one_of("private", "all", "off"), "private, all or off")] = (
        "private"
    )
    user_minute_messages_max: Annotated[int | None, _MESSAGES] = None
    user_day_turns_max: Annotated[int | None, _MESSAGES] = None
    max_turns: Annotated[int, How(parsers.count, "a whole number of at least 1")] = 64
    crashes_max: Annotated[
        int,
        How(
            parsers.count,
            "how often a message may crash the bot before it is given up, a whole number of at least 1",
        ),
    ] = 3
    mode: Annotated[Mode, How(parsers.one_of(*MODES), "queue, collect, interrupt or steer")] = "queue"
    queue_max: Annotated[int, How(parsers.count, "a whole number of at least 1")] = 100
    grace_seconds: Annotated[float, How(parsers.amount, _SECONDS)] = 25
    turn_timeout_seconds: Annotated[float, How(parsers.positive, "a number of seconds above 0")] = 1800
    stream: Annotated[
        Literal["edit", "draft", "off"], How(parsers.one_of("edit", "draft", "off"), "edit, draft or off")
    ] = "edit"
    format: Annotated[
        Literal["entities", "rich"], How(parsers.one_of("entities", "rich"), "entities or rich")
    ] = "entities"
    receipts: Annotated[bool, How(parsers.flag, "true or false")] = True
    notify_after_seconds: Annotated[float, How(parsers.amount, f"{_SECONDS}, 0 for no such message")] = 20
    rate_overall_per_second: Annotated[float, _RATE] = 30
    rate_chat_per_second: Annotated[float, _RATE] = 1
    rate_group_per_minute: Annotated[float, _RATE] = 20
    send_within_seconds: Annotated[float, How(parsers.positive, "a number of seconds above 0")] = 86400
    keep_days: Annotated[int, How(parsers.days, "a whole number of days, or 0 to keep all")] = 30
    start_within_seconds: Annotated[
        float, How(parsers.amount, f"{_SECONDS}, that a start waits for the database")
    ] = 300
    http_address: Annotated[
        tuple[str, int] | None, How(parsers.address, "HOST:PORT, or PORT alone for this machine only")
    ] = None
    http_hosts: Annotated[
        tuple[str, ...], How(parsers.hosts, "names with commas between, like bot.example.org")
    ] = ()
    admin_token: Annotated[str | None, _PASSPHRASE] = field(default=None, repr=False)
    viewer_token: Annotated[str | None, _PASSPHRASE] = field(default=None, repr=False)
    traces_url: Annotated[
        str | None, How(parsers.server, "an OTLP/HTTP endpoint, like http://localhost:4318/v1/traces")
    ] = None
    log: Annotated[Style, How(parsers.one_of("text", "json"), "text or json")] = "text"
    log_level: Annotated[
        Level, How(parsers.one_of("debug", "info", "warning", "error"), "debug, info, warning or error")
    ] = "info"
    webhook_url: Annotated[
        str | None, How(parsers.webhook, "the URL that Telegram is to post to, https://HOST/PATH")
    ] = None
    webhook_address: Annotated[tuple[str, int], How(parsers.address, "HOST:PORT to listen on, or PORT")] = (
        "127.0.0.1",
        8443,
    )
    webhook_cert: Annotated[Path | None, How(parsers.text_file, "a TLS certificate, a PEM file")] = None
    webhook_key: Annotated[Path | None, How(parsers.text_file, "the key of TGBOT_WEBHOOK_CERT")] = None
    turn_steps_max: Annotated[int, How(parsers.count, "a whole number of at least 1")] = 50
    turn_tokens_max: Annotated[int | None, _TOKENS] = None
    turn_cost_max: Annotated[Decimal | None, _COST] = None
    user_day_tokens_max: Annotated[int | None, _TOKENS] = None
    user_day_cost_max: Annotated[Decimal | None, _COST] = None
    chat_day_tokens_max: Annotated[int | None, _TOKENS] = None
    chat_day_cost_max: Annotated[Decimal | None, _COST] = None
    show_cost: Annotated[bool, How(parsers.flag, "true or false")] = False

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
    def database_path(self) -> Path:
        """The SQLite file behind `database_url`."""
        return path_in(self.database_url)


def path_in(database_url: str) -> Path:
    """Take the file out of `sqlite:///FILE`."""
    return Path(database_url.partition(":///")[2])
