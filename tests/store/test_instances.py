"""Who works on the database is what its tables hold, by its own clock."""

import pytest

from tests.store.instance import Instance, StartInstance
from tgbot.model import InstanceId, UserId
from tgbot.store import allowed, instances, workers
from tgbot.store.engine.locks import shared
from tgbot.store.instances import Worker


def listed(instance: Instance) -> dict[InstanceId, Worker]:
    return {worker.instance_id: worker for worker in instance.do(instances.workers)}


def row_ids(instance: Instance, *texts: str) -> list[int]:
    found = instance.rows("SELECT id, raw FROM pending ORDER BY id")
    return [row_id for row_id, raw in found if any(f'"text":"{said}"' in raw for said in texts)]


several = pytest.mark.parametrize("storages", ["postgresql"], indirect=True)  # SQLite has one owner


@pytest.fixture
def neighbour(instance: Instance) -> InstanceId:
    """Another worker on the database of `instance`."""
    return instance.do(workers.begin, 99, "beta", 2.0)


def test_a_worker_is_listed_with_the_turns_it_runs(instance: Instance) -> None:
    instance.start("a", "waits")
    instance.start("b", chat=8)
    instance.rows("UPDATE instance SET host = 'alpha', pid = 77, started_at = 5 RETURNING id")
    [worker] = listed(instance).values()
    assert (worker.instance_id, worker.host, worker.pid, worker.started_at) == (
        *(instance.owner.instance_id, "alpha", 77, 5.0),
    )
    assert worker.row_ids == row_ids(instance, "a", "b")
    assert not worker.is_gone


def test_a_lease_that_is_for_ever_has_no_end(instance: Instance) -> None:
    [worker] = listed(instance).values()
    if instance.do(shared):
        assert worker.lease_seconds
        assert 0 < worker.lease_seconds <= workers.LEASE_SECONDS
    else:
        assert (worker.lease_seconds, worker.chats, worker.polls) == (None, 0, False)


@several
def test_each_of_several_has_its_own_chats_and_one_polls(instance: Instance, neighbour: InstanceId) -> None:
    instance.start("a")
    instance.start("b", chat=8)
    assert instance.do(instances.poller) is None
    assert instance.do(workers.take_role, neighbour, "poller")
    found = listed(instance)
    assert {key: (one.chats, len(one.row_ids), one.polls) for key, one in found.items()} == {
        instance.owner.instance_id: (2, 2, False),
        neighbour: (0, 0, True),
    }
    assert instance.do(instances.poller) == neighbour


@several
def test_a_worker_that_ended_is_listed_no_more_and_polls_no_more(
    instance: Instance, neighbour: InstanceId
) -> None:
    assert instance.do(workers.take_role, neighbour, "poller")
    instance.do(workers.end, neighbour)
    assert set(listed(instance)) == {instance.owner.instance_id}
    assert instance.do(instances.poller) is None


def test_one_whose_lease_is_over_is_gone_and_listed_as_long_as_its_turns_wait(
    start_instance: StartInstance,
) -> None:
    old = start_instance()
    old.start("a")
    new = start_instance()
    gone = listed(new)[old.owner.instance_id]
    assert (gone.is_gone, gone.lease_seconds, gone.row_ids) == (True, 0, row_ids(new, "a"))
    assert not listed(new)[new.owner.instance_id].is_gone
    new.recover()
    assert set(listed(new)) == {new.owner.instance_id}


@several
def test_status_names_them_to_the_owner_alone_and_in_private(start_instance: StartInstance) -> None:
    bot = start_instance(allowed_users=frozenset([UserId(7)]))
    bot.do(allowed.allow, bot.owner.bot_id, 8, "user", None, UserId(7))
    bot.rows("UPDATE instance SET host = 'alpha' RETURNING id")
    bot.start("a")
    bot.say("/status")
    neighbour = bot.do(workers.begin, 99, "beta", 2.0)
    assert bot.do(workers.take_role, neighbour, "poller")
    bot.say("/status")
    bot.say("/status", chat=8)
    bot.say("/status", chat=-100, **{"from": {"id": 7, "is_bot": False, "first_name": "Ann"}})
    alone, named = bot.answers()
    assert "Worker" not in alone
    assert named.splitlines()[-2:] == [
        f"Worker {bot.owner.instance_id} on alpha: turns 1.",
        f"Worker {neighbour} on beta: turns 0, polls.",
    ]
    assert [bot.answers(chat) for chat in (8, -100)] == [["Nothing is running.\nWaiting: 0."]] * 2
    bot.do(workers.end, bot.owner.instance_id)
    bot.say("/status")
    gone = f"Worker {bot.owner.instance_id} on alpha is gone: turns 1, which another worker takes over."
    assert bot.answers()[-1].splitlines()[-2] == gone
