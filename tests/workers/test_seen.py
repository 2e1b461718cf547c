"""Several workers are named wherever one looks: by `tgbot status`, /status, /readyz and /metrics."""

import re
from typing import Any

import httpx

from tests.waiting import eventually_async
from tests.whole_bot.process import BotProcess, Person
from tests.workers.conftest import Hire
from tests.workers.crew import Crew
from tgbot.playground.server import PlaygroundServer

SERVING = re.compile(r"watch\.serving (http://127\.0\.0\.1:\d+)")


async def busy(hire: Hire, wire: PlaygroundServer) -> Crew:
    """Start two workers of which each runs a turn; the bot is owned by user 11."""
    crew = hire(
        *(2,),
        agent="tests.workers.agents:slow",
        max_turns=1,
        allowed_users="11,12",
        http_address="127.0.0.1:0",
    )
    await crew.start()
    for user_id in (11, 12):
        Person(wire, user_id).says(f"{user_id}-1")
    assert await crew.begins("11-1") != await crew.begins("12-1")
    return crew


async def found(crew: Crew) -> dict[int, dict[str, Any]]:
    """Ask `tgbot status` for the workers, by their pids."""
    report = await crew.workers[0].status()
    assert {row_id for worker in report["workers"] for row_id in worker["row_ids"]} == {
        entry["row_id"] for entry in report["running"]
    }
    return {worker["pid"]: worker for worker in report["workers"]}


async def asked(worker: BotProcess, path: str) -> str:
    serving = SERVING.search(worker.log)
    assert serving
    async with httpx.AsyncClient(base_url=serving[1], timeout=60) as client:
        return (await client.get(path)).raise_for_status().text


async def test_each_is_named_with_its_turns_its_lease_and_who_polls(
    hire: Hire, wire: PlaygroundServer
) -> None:
    crew = await busy(hire, wire)
    workers = await found(crew)
    assert set(workers) == {worker.pid for worker in crew.workers}
    assert all(0 < worker["lease_seconds"] <= 20 and worker["chats"] == 1 for worker in workers.values())
    [poller] = [worker for worker in workers.values() if worker["polls"]]
    for line in (
        rf"  worker   id={poller['instance_id']} host=\S+ pid={poller['pid']} for .*: turns 1, .* s, polls",
        rf"  running  row=\d+ chat=\d+ worker={poller['instance_id']} for .*: 1[12]-1",
    ):
        assert re.search(f"^{line}$", await crew.workers[0].prints("status"), re.MULTILINE), line
    ann = Person(wire, 11)
    ann.says("/status")
    await ann.sees_among(f"Worker {poller['instance_id']} on {poller['host']}: turns 1, polls.")


async def test_the_one_that_stands_by_is_ready_and_says_who_polls(hire: Hire, wire: PlaygroundServer) -> None:
    crew = await busy(hire, wire)
    workers = await found(crew)
    [poller] = [worker["instance_id"] for worker in workers.values() if worker["polls"]]
    for worker in crew.workers:
        instance_id = workers[worker.pid]["instance_id"]
        polls = instance_id == poller
        stands_by = "" if polls else f", and stands by: worker {poller} polls"
        assert await asked(worker, "/readyz") == f"ready{stands_by}\n"
        metrics = (await asked(worker, "/metrics")).splitlines()
        own = {f'tgbot_worker_info{{id="{instance_id}"}} 1.0', f"tgbot_standing_by {float(not polls)}"}
        assert own | {"tgbot_workers 2.0", "tgbot_running 2.0"} <= set(metrics)


async def test_dead_ones_are_gone_and_named_as_long_as_their_turns_wait(
    hire: Hire, wire: PlaygroundServer
) -> None:
    crew = await busy(hire, wire)
    instance_ids = [worker["instance_id"] for worker in (await found(crew)).values()]
    for worker in crew.workers:
        await crew.kill(worker)

    async def are_gone() -> bool:
        shown = await crew.workers[0].prints("status")
        lines = [rf"  gone     id={one} .*: turns 1, which another worker takes over" for one in instance_ids]
        return "does not run" in shown and all(re.search(line, shown) for line in lines)

    await eventually_async(are_gone, "both are gone")
    crew.let_end("11-1")
    crew.let_end("12-1")
    await crew.workers[0].start()
    await Person(wire, 12).sees_at_last("re: 12-1")
    await Person(wire, 11).sees_at_last("re: 11-1")

    async def nothing_runs() -> bool:
        return not (await crew.workers[0].status())["running"]

    await eventually_async(nothing_runs, "both have ended: their first words were on screen before")
    [left] = (await found(crew)).values()
    assert (left["pid"], left["polls"]) == (crew.workers[0].pid, True)
