"""/status: what runs, and how many wait."""

from tgbot.intake.commands.registry import Call, Reply, command
from tgbot.store import instances, report
from tgbot.store.instances import Worker
from tgbot.store.quote import quote


@command("status", "what runs, and how many wait")
def show_status(call: Call) -> Reply:
    """Describe the session as it is now."""
    found = report.session(call.conn, call.session_key)
    lines = ["Nothing is running yet." if found.queued else "Nothing is running."]
    if found.running and found.raw:
        again = f" (attempt {found.running.attempt})" if found.running.attempt > 1 else ""
        what = "Stopping after" if found.running.state == "stopped" else "Working for"
        lines = [f"{what} {_duration(found.running.seconds)}{again} on: {quote(found.raw)}"]
    if found.asking:
        lines = [f"Waiting for your answer to go on with: {quote(found.asking)}", "/stop gives it up."]
    lines.append(f"Waiting: {found.queued}.")
    if found.held:
        lines.append(f"On hold: {found.held}. Run them with /resume, forget them with /drop.")
    return Reply("\n".join([*lines, *_workers(call)]))


def _workers(call: Call) -> list[str]:
    """Name the workers, if there are several, to the owner alone: not where others of a group read it."""
    if not (call.by_owner and call.control.address.private):
        return []
    found = instances.workers(call.conn)
    return list(map(_worker, found)) if len(found) > 1 else []


def _worker(worker: Worker) -> str:
    named, turns = f"Worker {worker.instance_id} on {worker.host}", f"turns {len(worker.row_ids)}"
    if worker.is_gone:
        return f"{named} is gone: {turns}, which another worker takes over."
    return f"{named}: {turns}{', polls' if worker.polls else ''}."


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
