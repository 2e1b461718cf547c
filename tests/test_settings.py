"""Wrong settings are reported to people: one clear line for each."""

import dataclasses
import re
from pathlib import Path

import pytest

from tests.forking import ROOT
from tests.terminal import tgbot
from tgbot import cli, config, logs
from tgbot.agents.llm import names
from tgbot.config import Settings, page, parsers
from tgbot.playground import play

LIMITS = ["user_minute_messages_max", "user_day_turns_max"]
BUDGETS = [f"{scope}_{unit}_max" for scope in ("turn", "user_day", "chat_day") for unit in ("tokens", "cost")]
TO_SET = "set it in the environment or in .env to"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, f"TGBOT_TOKEN is missing: {TO_SET} the bot's token"),
        ({"TGBOT_TOKEN": "hush-hush"}, "TGBOT_TOKEN is wrong (a token looks like 123456:ABC-DEF)"),
        ({"TGBOT_TOKEN": "\u0661\u0662:x"}, "TGBOT_TOKEN is wrong"),  # digits, though not Telegram's
        ({"TGBOT_TOKEN": "1" * 23 + ":x"}, "TGBOT_TOKEN is wrong"),  # no integer of SQLite's
        ({"TGBOT_TOKEN": "1:x", "TGBOT_API_URL": "ftp://x"}, "TGBOT_API_URL is wrong"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_API_URL": "http://x:65536"}, "TGBOT_API_URL is wrong (its host or"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_API_URL": "http://[x"}, "TGBOT_API_URL is wrong (its host or port"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_WEBHOOK_URL": "bot.example.org/hook"}, "TGBOT_WEBHOOK_URL is wrong"),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_WEBHOOK_URL": "https://x/hook?a=b"},
            "TGBOT_WEBHOOK_URL is wrong (not the URL of a server)",
        ),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_WEBHOOK_KEY": "none"}, "TGBOT_WEBHOOK_KEY is wrong (it cannot be"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_DATABASE_URL": "postgres://x"}, "TGBOT_DATABASE_URL is wrong"),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_DATABASE_URL": "sqlite+aiosqlite:///tgbot.db"},
            f"(it is neither a SQLite file nor a database on a PostgreSQL server): {TO_SET} sqlite:///FILE",
        ),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_ALLOWED_USERS": "1,bob"}, "TGBOT_ALLOWED_USERS is wrong"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_ALLOWED_USERS": "-100123"}, "TGBOT_ALLOWED_USERS is wrong"),  # a group
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_MAX_TURNS": "0"},
            f"TGBOT_MAX_TURNS is wrong: {TO_SET} a whole number of at least 1",
        ),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_KEEP_DAYS": "1.5"},
            f"TGBOT_KEEP_DAYS is wrong: {TO_SET} a whole number of days, or 0 to keep all",
        ),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_MAX_TURNS": "9" * 19}, "TGBOT_MAX_TURNS is wrong"),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_CRASHES_MAX": "many"},
            f"TGBOT_CRASHES_MAX is wrong: {TO_SET} how often a message may crash the bot before it is given",
        ),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_GRACE_SECONDS": "-1"},
            f"TGBOT_GRACE_SECONDS is wrong: {TO_SET} a number of seconds, 0 or more",
        ),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_GRACE_SECONDS": "nan"}, "TGBOT_GRACE_SECONDS is wrong"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_TURN_TIMEOUT_SECONDS": "0.0"}, "TGBOT_TURN_TIMEOUT_SECONDS is wrong"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_RATE_CHAT_PER_SECOND": "inf"}, "TGBOT_RATE_CHAT_PER_SECOND is wrong"),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_STREAM": "fast"},
            f"TGBOT_STREAM is wrong: {TO_SET} edit, draft or off",
        ),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_TURN_TOKENS_MAX": "9999"},
            f"TGBOT_TURN_TOKENS_MAX is wrong: {TO_SET} a whole number of tokens, at least 10000, or leave it",
        ),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_USER_DAY_TOKENS_MAX": "0"}, "TGBOT_USER_DAY_TOKENS_MAX is wrong"),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_CHAT_DAY_COST_MAX": "0.00"},
            f"TGBOT_CHAT_DAY_COST_MAX is wrong: {TO_SET} a number of dollars above 0, or leave it out",
        ),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_TURN_COST_MAX": "$1"}, "TGBOT_TURN_COST_MAX is wrong"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_TURN_COST_MAX": "1e3"}, "TGBOT_TURN_COST_MAX is wrong"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_RECEIPTS": ""}, f"TGBOT_RECEIPTS is wrong: {TO_SET} true or false"),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_AGENT": "nope:x"},
            "TGBOT_AGENT is wrong (cannot import agent 'nope:x': ModuleNotFoundError",
        ),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_DATABASE_URL": "sqlite:////tmp"},
            "TGBOT_DATABASE_URL is wrong (this is a folder)",
        ),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_DATABASE_URL": "sqlite:///no/where.db"},
            "TGBOT_DATABASE_URL is wrong (its folder does not exist)",
        ),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_AGENT": "llm", "TGBOT_MODEL": "demo", "TGBOT_TOOLS": "no_such"},
            "TGBOT_TOOLS is wrong (cannot import tools 'no_such': ModuleNotFoundError",
        ),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_AGENT": "llm", "TGBOT_MODEL": "demo", "TGBOT_MCP": "alembic.ini"},
            "TGBOT_MCP is wrong",
        ),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_AGENT": "json:dumps"}, "not an async generator function"),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_AGENT": ".foo:bar"},
            "is not echo, llm or package.module:name",
        ),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_AGENT": "eliza"}, f"{TO_SET} echo, llm, or package"),
    ],
)
def test_a_wrong_setting_is_one_clear_line_and_exit_status_2(
    tmp_path: Path, settings: dict[str, str], line: str
) -> None:
    ended = tgbot(tmp_path, "run", **settings)
    assert ended.returncode == 2
    (reported,) = ended.stderr.splitlines()
    assert line in reported
    assert "hush-hush" not in reported


def test_all_wrong_settings_are_listed_at_once_a_line_each(tmp_path: Path) -> None:
    ended = tgbot(
        tmp_path, "run", TGBOT_TOKN="hush-hush", TGBOT_MAX_TURNS="x", TGBOT_STREAM="y", TGBOT_FORMAT="rich"
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        f"tgbot: TGBOT_TOKEN is missing: {TO_SET} the bot's token, from @BotFather",
        f"tgbot: TGBOT_MAX_TURNS is wrong: {TO_SET} a whole number of at least 1",
        f"tgbot: TGBOT_STREAM is wrong: {TO_SET} edit, draft or off",
        "tgbot: unknown setting TGBOT_TOKN, did you mean TGBOT_TOKEN?",
    ]


def test_settings_come_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TGBOT_TOKEN=1:x\nTGBOT_AGENT=nope:x\n")
    assert "cannot import agent 'nope:x'" in tgbot(tmp_path, "run").stderr


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TGBOT_TOKEN=1:x\nTGBOT_AGENT=nope:x\n")
    assert "cannot import agent 'nay:x'" in tgbot(tmp_path, "run", TGBOT_AGENT=" nay:x\n").stderr


def test_a_settings_file_that_is_not_utf_8_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("# clé\nTGBOT_TOKEN=1:x\n".encode("latin-1"))
    ended = tgbot(tmp_path, "run")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ".env is not UTF-8" in ended.stderr


def test_a_settings_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("/proc/self/mem")  # which fails also for root
    ended = tgbot(tmp_path, "run")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ".env cannot be read" in ended.stderr


def test_an_unknown_setting_is_a_warning_with_the_nearest_known_one(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="nope:x", TGBOT_MAX_TURN="3")
    assert "unknown setting TGBOT_MAX_TURN, did you mean TGBOT_MAX_TURNS?" in ended.stderr


def test_a_setting_in_small_letters_is_unknown_not_silently_left_out(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="nope:x", tgbot_max_turns="3")
    assert "unknown setting tgbot_max_turns, did you mean TGBOT_MAX_TURNS?" in ended.stderr


def test_the_page_of_settings_is_the_one_that_the_code_makes() -> None:
    remedy = "python -m tgbot.config.page > docs/settings.md"
    assert (ROOT / "docs" / "settings.md").read_text() == page.page(), remedy


def test_the_page_has_each_setting_once_with_its_default_and_a_word_about_it() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)`[^|]* \| ([^|]*) \| ([^|]+) \|$", page.page(), re.MULTILINE)
    assert sorted(name for name, _, _ in rows) == sorted(
        field.name.upper() for field in dataclasses.fields(Settings)
    )
    assert all(words.strip() for _, _, words in rows)
    in_words = {name.upper(): words for name, words in page.IN_WORDS.items()}
    assert {name: default for name, default, _ in rows if name in in_words} == in_words


def test_the_readme_names_only_settings_that_there_are() -> None:
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    named = {name.strip("`").lower() for row in rows for name in row.split(", ")}
    assert named
    assert named <= {field.name for field in dataclasses.fields(Settings)}


def test_settings_that_are_given_are_known_without_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("TGBOT_AGENT=mine:agent\nTGBOT_MODEL=openai:gpt-5\n")
    monkeypatch.setenv("TGBOT_MODEL", " ollama:qwen3 ")
    monkeypatch.setenv("TGBOT_TOOLS", "")
    assert config.given("agent", "model", "tools") == {"agent": "mine:agent", "model": "ollama:qwen3"}


def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch, **given: str) -> Settings:
    monkeypatch.chdir(folder)
    for name, value in {"token": "1:x", **given}.items():
        monkeypatch.setenv(f"TGBOT_{name.upper()}", value)
    return config.load()


def test_a_providers_key_is_found_in_the_file_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = loaded(tmp_path, monkeypatch, model="openai:gpt-5-mini")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(config.ConfigError, match="TGBOT_MODEL_KEY is wrong"):
        names.check(settings)
    Path(".env").write_text("OPENAI_API_KEY=sk-secret\n")
    names.check(settings)
    assert names.key_of("openai") == "sk-secret"
    assert names.secrets(settings) == ["sk-secret"]


def test_the_token_and_the_models_key_may_stand_in_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("token").write_text("1:hush\n")
    Path("key").write_text("sk-hush\n")
    Path(".env").write_text("TGBOT_TOKEN_FILE=token\nTGBOT_WEBHOOK_KEY=tls.pem\n")
    Path("tls.pem").write_text("a key")
    monkeypatch.setenv("TGBOT_MODEL_KEY_FILE", str(tmp_path / "key"))
    settings = config.load()
    assert (settings.token, settings.model_key) == ("1:hush", "sk-hush")
    assert "sk-hush" in names.secrets(settings)
    assert config.unknown_names() == []
    assert config.named_secret_files() == [Path("token"), tmp_path / "key", Path("tls.pem")]


def test_a_certificate_is_a_secret_only_where_its_key_stands_in_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TGBOT_WEBHOOK_CERT", "both.pem")
    assert config.named_secret_files() == [Path("both.pem")]
    monkeypatch.setenv("TGBOT_WEBHOOK_KEY", "tls.key")
    assert config.named_secret_files() == [Path("tls.key")]


def test_a_credential_of_systemds_is_the_token_and_one_for_something_else_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    Path("backup_password").write_text("hush")
    with pytest.raises(config.ConfigError, match="TGBOT_TOKEN is missing"):
        config.load()
    Path("tgbot_token").write_text("1:hush\n")
    settings = config.load()
    assert (settings.token, settings.model_key) == ("1:hush", None)


def test_a_bot_in_the_playground_leaves_the_real_bots_token_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("token").write_text("1:hush")
    Path(".env").write_text("TGBOT_TOKEN_FILE=token\nTGBOT_WEBHOOK_URL=https://bot.example.org/\n")
    for name, value in play.bot_environment("http://127.0.0.1:1", tmp_path / "bot.db").items():
        monkeypatch.setenv(name, value)
    assert config.load().token == play.TOKEN
    assert config.load().webhook_url is None, "nobody could post to it"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"TGBOT_TOKEN": "1:hush", "TGBOT_TOKEN_FILE": "token"},
            "TGBOT_TOKEN is given more than once, by TGBOT_TOKEN and TGBOT_TOKEN_FILE: keep one",
        ),
        (
            {"TGBOT_TOKEN_FILE": "token", "CREDENTIALS_DIRECTORY": "credentials"},
            "by TGBOT_TOKEN_FILE and systemd's credential tgbot_token: keep one",
        ),
        (
            {"TGBOT_TOKEN_FILE": "none"},
            "TGBOT_TOKEN_FILE is wrong (none cannot be read: No such file or directory): name a file with",
        ),
        ({"TGBOT_TOKEN_FILE": "."}, "TGBOT_TOKEN_FILE is wrong (. cannot be read: Is a directory)"),
        ({"TGBOT_TOKEN_FILE": "latin"}, "TGBOT_TOKEN_FILE is wrong (latin is not UTF-8)"),
        ({"TGBOT_TOKEN_FILE": "words"}, "TGBOT_TOKEN is wrong (a token looks like 123456:ABC-DEF)"),
        (
            {"TGBOT_TOKEN_FILE": "token", "TGBOT_MODEL_KEY_FILE": "words"},
            "TGBOT_MODEL_KEY is wrong (a key has neither spaces nor special characters)",
        ),
    ],
)
def test_a_secret_that_is_given_twice_or_whose_file_is_wrong_is_one_clear_line_without_it(
    tmp_path: Path, settings: dict[str, str], line: str
) -> None:
    (tmp_path / "credentials").mkdir()
    for name in ("token", "credentials/tgbot_token"):
        (tmp_path / name).write_text("1:hush")
    (tmp_path / "latin").write_bytes("1:hush é".encode("latin-1"))
    (tmp_path / "words").write_text("hush hush")
    ended = tgbot(tmp_path, "run", **settings)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert line in ended.stderr
    assert "hush" not in ended.stderr


@pytest.mark.parametrize(("users", "owner"), [("9, 7,9", 9), ("", None), ("*", None)])
def test_the_first_who_may_talk_is_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, users: str, owner: int | None
) -> None:
    assert loaded(tmp_path, monkeypatch, allowed_users=users).owner_id == owner


def test_a_chat_may_choose_the_default_model_and_those_that_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = loaded(tmp_path, monkeypatch, model="a:1", models="b:2, a:1,,b:2")
    assert settings.allowed_models == ("a:1", "b:2")


def test_each_model_that_may_be_chosen_is_checked_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = loaded(tmp_path, monkeypatch, model="demo", models="gpt-5-mini")
    with pytest.raises(config.ConfigError, match=r"TGBOT_MODELS is wrong .'gpt-5-mini' names no provider"):
        names.check(settings)


def test_the_secrets_of_the_admin_page_cannot_be_guessed_and_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for short in ("", "fifteen-letters", "with a space in it, and long"):
        with pytest.raises(config.ConfigError, match=r"TGBOT_ADMIN_TOKEN is wrong \(it needs 16 characters"):
            loaded(tmp_path, monkeypatch, admin_token=short)
    monkeypatch.delenv("TGBOT_ADMIN_TOKEN")
    Path("secret").write_text("a-secret-of-the-admin\n")
    monkeypatch.setenv("TGBOT_ADMIN_TOKEN_FILE", "secret")
    settings = loaded(tmp_path, monkeypatch, viewer_token="another-secret-of-mine")
    assert settings.page_tokens == ("a-secret-of-the-admin", "another-secret-of-mine")
    assert "secret" not in repr(settings)
    with pytest.raises(config.ConfigError, match=r"TGBOT_VIEWER_TOKEN is wrong \(it is the same"):
        loaded(tmp_path, monkeypatch, viewer_token="a-secret-of-the-admin")


def test_names_behind_a_proxy_have_neither_port_nor_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = loaded(tmp_path, monkeypatch, http_hosts="Bot.example.org, 192.0.2.1,")
    assert settings.http_hosts == ("bot.example.org", "192.0.2.1")
    for wrong in ("https://bot.example.org", "bot.example.org:80", "bot.example.org/x", "*"):
        with pytest.raises(config.ConfigError, match="TGBOT_HTTP_HOSTS is wrong"):
            loaded(tmp_path, monkeypatch, http_hosts=wrong)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:hunter2@host/bots",
        "postgresql+psycopg://me@host/bots?a=b&password=hunter2&c=d",
    ],
)
def test_the_password_of_the_database_reaches_neither_a_log_nor_a_repr(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TGBOT_TOKEN", "1:x")
    monkeypatch.setenv("TGBOT_DATABASE_URL", url)
    settings = config.load()
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in logs.redacted(f"an agent says that {url} is away", cli._secrets(settings))


def test_a_database_without_a_password_redacts_nothing() -> None:
    assert parsers.passwords_in("postgresql+psycopg://me@host:5432/bots?sslmode=require") == ()
    assert parsers.passwords_in("sqlite:///a:b@c.db") == ()
