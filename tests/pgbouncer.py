"""A PgBouncer of the tests' own, in front of their PostgreSQL."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import postgres
from tests.needed import need
from tests.waiting import DEADLINE_SECONDS, STEP_SECONDS

PROGRAM = Path("/usr/sbin/pgbouncer")
PORT = 6432
SETTINGS = """
[databases]
* = host={server}
[pgbouncer]
unix_socket_dir = {folder}
listen_addr =
listen_port = {port}
auth_type = trust
auth_file = {folder}/users
{more}
"""


@contextmanager
def pgbouncer(server: postgres.Server, *settings: str) -> Iterator[str]:
    """Start one with these settings; gives what follows the `?` in a URL. Skips where there is none."""
    program = need(PROGRAM, "apt install pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="tgbot-pgbouncer-"))
    written = SETTINGS.format(server=server.folder, folder=folder, port=PORT, more="\n".join(settings))
    (folder / "settings").write_text(written)
    (folder / "users").write_text('"postgres" ""\n')
    if postgres.USER:  # it refuses to run as root, too
        shutil.chown(folder, postgres.USER)
    command = [str(program), "-q", str(folder / "settings")]
    with subprocess.Popen(command, user=postgres.USER, stderr=subprocess.DEVNULL) as process:
        _wait_for(folder / f".s.PGSQL.{PORT}")
        try:
            yield f"host={folder}&port={PORT}"
        finally:
            process.terminate()
    shutil.rmtree(folder)


def _wait_for(socket: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not socket.exists():
        assert time.monotonic() < deadline, "PgBouncer does not start"
        time.sleep(STEP_SECONDS)
