"""The image's files: what they copy is there, and what they run is ours. Built where Docker runs."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.needed import need
from tgbot import app
from tgbot.config import Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "docs" / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ANSWER_SECONDS = 20  # for `docker info`


def _instructions() -> list[tuple[str, str]]:
    """Take the Dockerfile apart, with the lines that go on joined."""
    text = "\n".join(
        line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")
    )
    joined = re.sub(r"\\\n\s*", "", text)
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


INSTRUCTIONS = _instructions()
COPIED = [
    source
    for word, rest in INSTRUCTIONS
    if word == "COPY" and not rest.startswith("--from")
    for source in rest.split()[:-1]
]


def last(word: str) -> str:
    return [rest for known, rest in INSTRUCTIONS if known == word][-1]


def is_ignored(path: str) -> bool:
    """Whether the build does not get a file: of the lines that match it the last one decides."""
    ignored = False
    for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and (fnmatch(path, pattern) or path.startswith(f"{pattern}/")):
            ignored = not line.startswith("!")
    return ignored


def test_all_that_is_copied_is_there_and_given_to_the_build() -> None:
    assert [source for source in COPIED if not (ROOT / source).exists()] == []
    assert [source for source in COPIED if is_ignored(source)] == []


def test_all_that_the_wheel_is_built_from_is_copied() -> None:
    project, wheel = PROJECT["project"], PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    files = [project["readme"], *project["license-files"], *wheel["packages"], *wheel["force-include"]]
    assert {"pyproject.toml", ".ci/constraints.txt", *files} == set(COPIED)


@pytest.mark.parametrize("secret", [".env", "tgbot.db", "tgbot.db-wal", "docs/deploy/token", ".git/config"])
def test_no_secret_is_given_to_the_build(secret: str) -> None:
    assert is_ignored(secret)


def test_the_base_is_one_version_and_the_bot_runs_as_nobody_in_particular() -> None:
    bases = {rest.partition(" ")[0] for word, rest in INSTRUCTIONS if word == "FROM"}
    assert [bool(re.fullmatch(r"python:3\.\d+-slim-\w+", base)) for base in bases] == [True]
    assert last("USER") == "10001"
    assert last("STOPSIGNAL") == "SIGTERM"


def test_what_is_run_gets_the_signals_itself_and_its_health_is_asked_for() -> None:
    assert json.loads(last("ENTRYPOINT"))[0] in PROJECT["project"]["scripts"]
    assert json.loads(last("CMD")) == ["run"]
    python, _, code = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert python == "python"
    compile(code, "HEALTHCHECK", "exec")
    address = re.search(r"TGBOT_HTTP_ADDRESS=(\S+)", last("ENV"))
    assert address
    assert f"http://{address[1]}/healthz" in code


COMPOSED = ["compose.yaml", "compose.scale.yaml"]


@pytest.mark.parametrize("name", COMPOSED)
def test_compose_gives_a_stop_as_long_as_it_takes(name: str) -> None:
    given = re.findall(r"stop_grace_period: (\d+)s", (DEPLOY / name).read_text())
    assert given
    assert all(int(seconds) >= app.stop_seconds(Settings(token="1:a").grace_seconds) for seconds in given)


@pytest.mark.parametrize("name", COMPOSED)
def test_compose_sets_nothing_that_is_no_setting(name: str) -> None:
    names = re.findall(r"TGBOT_(\w+):", (DEPLOY / name).read_text())
    known = {field.name for field in dataclasses.fields(Settings)} | {"token_file"}
    assert names
    assert [one for one in names if one.lower() not in known] == []


def test_workers_are_where_the_proxy_looks_for_them_and_have_what_they_need() -> None:
    composed, proxy = ((DEPLOY / name).read_text() for name in ("compose.scale.yaml", "Caddyfile"))
    found = re.search(r"reverse_proxy (/\w+) {\s+dynamic a (\w+) (\d+)", proxy)
    assert found
    path, service, port = found.groups()
    assert f"\n  {service}:\n" in composed
    assert f"TGBOT_WEBHOOK_ADDRESS: 0.0.0.0:{port}\n" in composed
    assert re.search(rf"TGBOT_WEBHOOK_URL: https://.+}}{path}\n", composed)
    assert "./Caddyfile:/etc/caddy/Caddyfile:ro" in composed
    extras = re.findall(r"EXTRAS: (\w+)", composed)
    assert extras == ["postgres"]
    assert set(extras) <= PROJECT["project"]["optional-dependencies"].keys()


def test_caddy_takes_its_configuration() -> None:
    caddy = need(Path("/usr/bin/caddy"), "apt install caddy")
    command = [str(caddy), "adapt", "--config", str(DEPLOY / "Caddyfile"), "--validate"]
    checked = subprocess.run(
        command,
        env={**os.environ, "BOT_HOST": "bot.example.org"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert '"warn"' not in checked.stderr


@pytest.mark.soak  # it installs everything
def test_the_steps_of_the_image_work_in_a_folder_that_has_only_what_is_copied(tmp_path: Path) -> None:
    for source in COPIED:
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, target)
    [steps] = [rest for word, rest in INSTRUCTIONS if word == "RUN" and "pip install" in rest]
    script = steps.replace("/opt/tgbot", str(tmp_path / "venv"))
    subprocess.run(
        ["bash", "-ec", script.replace("python -m", f"{sys.executable} -m")], cwd=tmp_path, check=True
    )
    program = tmp_path / "venv" / "bin" / "tgbot"
    shutil.rmtree(tmp_path / "tgbot")  # it is installed now
    made = subprocess.run(
        [program, "db", "upgrade"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert made.stdout == "tgbot.db is now up to date\n"


def test_the_image_can_be_built() -> None:
    if not (shutil.which("docker") and _has_daemon()):
        pytest.skip("Docker does not run here")
    command = ["docker", "build", "--file", str(DEPLOY / "Dockerfile"), "--quiet", str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    image = built.stdout.strip()
    shown = subprocess.run(["docker", "run", "--rm", image, "--version"], capture_output=True, check=True)
    assert shown.stdout.startswith(b"tgbot ")


def _has_daemon() -> bool:
    info = ["docker", "info"]
    return subprocess.run(info, capture_output=True, timeout=ANSWER_SECONDS, check=False).returncode == 0
