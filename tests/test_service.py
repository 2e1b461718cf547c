"""`tgbot service`, as a person at a terminal sees it, with a stand-in for systemctl or launchctl."""

import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needed import need
from tests.terminal import tgbot
from tgbot import app, cli
from tgbot.service import installed, launchd, systemd
from tgbot.service.installed import Service, ServiceError
from tgbot.service.launchd import Launchd
from tgbot.service.systemd import Systemd

TOKEN = "42:playground-secret"
ANALYZE = Path("/usr/bin/systemd-analyze")
SERVICE = Service(Path(sys.executable), Path("/srv/a bot"), (Path("/srv/a bot"), Path("/data/50%")), 45)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with settings, as `tgbot init` leaves it."""
    made = tmp_path / "bot"
    made.mkdir()
    (made / ".env").write_text(f"TGBOT_TOKEN={TOKEN}\nTGBOT_GRACE_SECONDS=7\n")
    (made / ".env").chmod(0o600)
    return made


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What systemctl was called with: a stand-in notes it, and knows a service that runs."""
    noted, commands = tmp_path / "calls", tmp_path / "commands"
    commands.mkdir()
    noted.touch()
    script = commands / "systemctl"
    states = ("LoadState=loaded", "ActiveState=active", "SubState=running", "StatusText=ready")
    shows = "\\n".join([*states, "NRestarts=2", "MainPID=7"])
    script.write_text(f'#!/bin/sh\necho "$@" >> {noted}\ncase "$*" in *show*) printf "{shows}";; esac\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return noted


def unit_of(folder: Path) -> Path:
    return folder.parent / "config" / "systemd" / "user" / "tgbot.service"


def test_a_user_service_is_written_started_looked_at_and_removed(folder: Path, calls: Path) -> None:
    installed = tgbot(folder, "service", "install", "--user")
    assert (installed.returncode, installed.stderr) == (0, "")
    unit = unit_of(folder)
    assert installed.stdout.splitlines() == [
        f"{unit} is written, and the bot started",
        "its log: journalctl --user -u tgbot -f",
        "to run while you are not logged in: loginctl enable-linger",
    ]
    text = unit.read_text()
    assert f"WorkingDirectory={folder}\n" in text
    assert "TimeoutStopSec=27\n" in text, "the grace, the flush, and what is closed at last"
    assert TOKEN not in text
    status = tgbot(folder, "service", "status", "--user")
    assert status.stdout == "tgbot.service is active (running), ready, process 7, restarted 2 times\n"
    assert tgbot(folder, "service", "uninstall", "--user").returncode == 0
    assert calls.read_text().splitlines() == [
        *("--user daemon-reload", "--user enable tgbot.service", "--user restart tgbot.service"),
        "--user show tgbot.service --property=LoadState,ActiveState,SubState,StatusText,NRestarts,MainPID",
        *("--user disable --now tgbot.service", "--user daemon-reload"),
    ]
    assert list(unit.parent.iterdir()) == []
    gone = tgbot(folder, "service", "uninstall", "--user")
    assert (gone.returncode, gone.stderr) == (1, f"tgbot: no service is installed: there is no {unit}\n")


def test_a_dry_run_shows_the_unit_and_does_nothing(folder: Path, calls: Path) -> None:
    shown = tgbot(folder, "service", "install", "--user", "--dry-run")
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"# {unit_of(folder)}\n# Written by `tgbot service install`.")
    assert (calls.read_text(), unit_of(folder).exists()) == ("", False)


def test_the_service_of_another_folder_is_not_replaced(folder: Path, calls: Path, tmp_path: Path) -> None:
    tgbot(folder, "service", "install", "--user")
    before = unit_of(folder).read_text()
    other = shutil.copytree(folder, tmp_path / "other")
    refused = tgbot(other, "service", "install", "--user")
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        f"tgbot: {unit_of(folder)} runs the bot in {folder}: run `tgbot service un"
    )
    assert unit_of(folder).read_text() == before
    assert tgbot(folder, "service", "install", "--user").returncode == 0, "its own is written again"


def test_wrong_settings_are_no_service_that_starts_again_and_again(folder: Path, calls: Path) -> None:
    (folder / ".env").write_text("TGBOT_MODE=fast\n")
    refused = tgbot(folder, "service", "install", "--user")
    assert refused.returncode == 2
    assert refused.stderr.startswith("tgbot: TGBOT_TOKEN is missing")
    assert not unit_of(folder).exists()


def test_what_only_the_shell_knows_is_named_because_the_service_would_not(folder: Path, calls: Path) -> None:
    given = {"TGBOT_AGENT": "llm", "TGBOT_MODEL": "openai:x", "OPENAI_API_KEY": "sk-hush"}
    refused = tgbot(folder, "service", "install", "--user", TGBOT_TOKEN=TOKEN, **given)
    assert refused.returncode == 1
    listed = "OPENAI_API_KEY, TGBOT_AGENT, TGBOT_MODEL"
    assert refused.stderr.startswith(
        f"tgbot: {listed}: set in this shell only, where a service cannot see it: "
    )
    assert "hush" not in refused.stderr


@pytest.mark.parametrize("ending", ["\\", '"', "\n[Service]\nUser=root"])
def test_a_folder_that_no_unit_can_name_is_no_service(folder: Path, calls: Path, ending: str) -> None:
    odd = folder.rename(folder.with_name(f"bot{ending}"))
    refused = tgbot(odd, "service", "install", "--user")
    assert (refused.returncode, calls.read_text()) == (1, "")
    assert "has characters that no service can have in a path: rename it" in refused.stderr


def test_where_systemd_is_installed_but_does_not_run_the_line_says_what_to_do_instead(
    folder: Path, calls: Path
) -> None:
    script = calls.parent / "commands" / "systemctl"
    script.write_text(
        "#!/bin/sh\necho 'System has not been booted with systemd as init system' >&2\nexit 1\n"
    )
    asked = tgbot(folder, "service", "status", "--system")
    line = f"tgbot: systemd does not run on this machine: {installed.INSTEAD}\n"
    assert (asked.returncode, asked.stderr) == (1, line)


def test_what_systemctl_says_against_it_is_one_line(folder: Path, calls: Path) -> None:
    script = calls.parent / "commands" / "systemctl"
    script.write_text("#!/bin/sh\necho 'Failed to connect to bus:\nNo medium found' >&2\nexit 1\n")
    failed = tgbot(folder, "service", "install", "--user")
    line = "tgbot: `systemctl --user daemon-reload` failed: Failed to connect to bus: No medium found\n"
    assert (failed.returncode, failed.stderr) == (1, line)


def test_where_there_is_no_service_manager_it_says_what_else_there_is(folder: Path, tmp_path: Path) -> None:
    failed = tgbot(folder, "service", "status", PATH=str(tmp_path))
    assert failed.returncode == 1
    assert failed.stderr.startswith(
        "tgbot: there is neither systemd nor launchd here: keep `tgbot run` running"
    )


def test_nobody_but_root_changes_the_systems_services(
    folder: Path, calls: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(systemd, "SYSTEM_UNITS", folder)
    assert cli.main(["service", "uninstall", "--system"]) == 1
    assert "only root may change the system's services: sudo " in capsys.readouterr().err


def test_the_bot_does_not_run_as_root(tmp_path: Path) -> None:
    if tmp_path.stat().st_uid != 0:
        pytest.skip("the folder of this test does not belong to root")
    with pytest.raises(ServiceError, match="belongs to root, and the bot must not run as root: `useradd"):
        Systemd(system=True).text(Service(Path(sys.executable), tmp_path, (tmp_path,), 45))


@pytest.fixture
def anns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder belongs to a user."""
    monkeypatch.setattr(systemd, "_owner", lambda _: "ann")


@pytest.mark.usefixtures("anns")
def test_a_folder_of_var_lib_is_the_state_directory_and_what_else_is_written_is_named() -> None:
    states = Path("/var/lib/tgbot")
    text = Systemd(system=True).text(Service(Path("/x"), states, (states, Path("/data/50%")), 45))
    assert 'User=ann\nStateDirectory=tgbot\nStateDirectoryMode=0700\nReadWritePaths="/data/50%%"\n' in text
    text = Systemd(system=True).text(SERVICE)
    assert 'User=ann\nReadWritePaths="/srv/a bot" "/data/50%%"\nProtectSystem=strict\n' in text


@pytest.mark.usefixtures("anns")
@pytest.mark.parametrize("name", ["my bot", "a:b"])
def test_a_folder_whose_name_would_mean_two_directories_is_named_as_a_path(name: str) -> None:
    states = Path("/var/lib", name)
    text = Systemd(system=True).text(Service(Path("/x"), states, (states,), 45))
    assert f'User=ann\nReadWritePaths="/var/lib/{name}"\nProtectSystem=strict\n' in text


@pytest.mark.usefixtures("anns")
@pytest.mark.parametrize(
    ("url", "waits"),
    [
        ("postgresql+psycopg://tgbot:secret@localhost/tgbot", True),
        ("postgresql+psycopg://tgbot@[::1]:5433/tgbot", True),
        ("postgresql+psycopg:///tgbot", True),
        ("postgresql+psycopg://tgbot@/tgbot?host=/run/postgresql", True),
        ("postgresql+psycopg://tgbot@db.example/tgbot", False),
        ("postgresql+psycopg:///tgbot?host=db.example", False),
        ("sqlite:///tgbot.db", False),
    ],
)
def test_the_systems_service_starts_after_a_postgresql_of_this_machine(
    folder: Path, calls: Path, url: str, *, waits: bool
) -> None:
    with (folder / ".env").open("a") as env:
        env.write(f"TGBOT_DATABASE_URL={url}\n")
    if os.geteuid() == 0:  # the bot must not be root
        shutil.chown(folder, "nobody")
    unit = tgbot(folder, "service", "install", "--dry-run", "--system").stdout.splitlines()
    after = "After=network-online.target"
    assert (f"{after} postgresql.service" if waits else after) in unit
    assert not any("secret" in line for line in unit)
    own = tgbot(folder, "service", "install", "--dry-run", "--user").stdout
    assert "postgresql" not in own, "a user's units cannot wait for the system's"


@pytest.mark.usefixtures("anns")
@pytest.mark.parametrize("system", [True, False])
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path, *, system: bool) -> None:
    need(ANALYZE, "apt-get install systemd")
    unit = tmp_path / "tgbot.service"
    unit.write_text(Systemd(system=system).text(SERVICE))
    command = [str(ANALYZE), "verify", "--man=no", str(unit)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    about_ours = [
        line for line in (verified.stdout + verified.stderr).splitlines() if "tgbot.service" in line
    ]
    assert (verified.returncode, about_ours) == (0, [])


@pytest.mark.usefixtures("anns")
def test_systemd_rates_the_system_service_as_locked_in(tmp_path: Path) -> None:
    need(ANALYZE, "apt-get install systemd")
    unit = tmp_path / "tgbot.service"
    unit.write_text(Systemd(system=True).text(SERVICE))
    command = [str(ANALYZE), "security", "--offline=true", "--threshold=25", str(unit)]
    rated = subprocess.run(command, capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout[-400:]


def test_a_crash_is_followed_by_a_start_within_a_second_and_never_by_a_last_one() -> None:
    lines = Systemd(system=False).text(SERVICE).splitlines()
    assert {"Restart=always", "RestartSec=500ms", "StartLimitIntervalSec=0"} < set(lines)
    assert not any(line.startswith(("RestartSteps", "RestartPrevent")) for line in lines)


def test_a_stop_is_given_as_long_as_it_takes() -> None:
    assert app.stop_seconds(25) == 45
    assert "TimeoutStopSec=45" in Systemd(system=False).text(SERVICE).splitlines()


def test_an_agent_of_launchds_runs_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def launchctl(command: list[str]) -> str:
        asked.append(command)
        if command[1] == "print" and len(asked) == 1:
            raise ServiceError("could not find service")
        return "tgbot = {\n\tstate = running\n}"

    monkeypatch.setattr(launchd, "run", launchctl)
    manager = Launchd(tmp_path, 501)
    text = manager.text(SERVICE)
    listed = plistlib.loads(text.encode())
    assert manager.path == tmp_path / "Library/LaunchAgents/tgbot.plist"
    assert listed["ProgramArguments"] == [sys.executable, "-m", "tgbot", "run"]
    assert (listed["WorkingDirectory"], listed["KeepAlive"], listed["ExitTimeOut"]) == (
        "/srv/a bot",
        True,
        45,
    )
    assert manager.runs_in(text) == "/srv/a bot"
    assert list(manager.start) == [["launchctl", "bootstrap", "gui/501", str(manager.path)]]
    assert list(manager.stop) == [["launchctl", "bootout", "gui/501/tgbot"]]
    assert manager.state() == (True, "tgbot: state = running")
