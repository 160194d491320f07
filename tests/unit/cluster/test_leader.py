"""One of several leads, and knows by its own clock when it does not any more."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientConnectionError
from t2v_operator.cluster import leader
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import LEASES
from t2v_operator.cluster.leader import Leadership, LeadershipLost

from tests.unit.cluster.api_server import ApiServer

AWAY = ClientConnectionError("the API server is away")
RETRY, RENEW, LEASE = 2, 10, 15


class Clock:
    """Time that goes on by the pauses alone."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.on_sleep: Any = lambda: None

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    tested = Clock()

    async def sleep(seconds: float) -> None:
        tested.now += seconds
        tested.on_sleep()
        await asyncio.sleep(0)

    monkeypatch.setattr(leader, "asyncio", SimpleNamespace(sleep=sleep, timeout=asyncio.timeout))
    return tested


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


def a_candidate(server: Any, clock: Clock, name: str = "one") -> Leadership:
    return Leadership(server, "t2v", "operator", name, clock)


def a_leader(server: Any, clock: Clock, name: str = "one") -> Leadership:
    leads = a_candidate(server, clock, name)
    asyncio.run(leads.acquire())
    return leads


def the_lease(server: ApiServer) -> dict[str, Any]:
    spec: dict[str, Any] = server.objects[LEASES, "t2v", "operator"]["spec"]
    return spec


def hand_over(server: ApiServer, holder: str) -> None:
    """Somebody else writes the lease."""
    lease = server.objects[LEASES, "t2v", "operator"]
    spec = lease["spec"]
    changed = {"holderIdentity": holder, "leaseTransitions": spec["leaseTransitions"] + 1}
    server.put(LEASES, {**lease, "spec": spec | changed})


def test_a_free_lease_is_taken_at_once(server: ApiServer, clock: Clock) -> None:
    leads = a_candidate(server, clock)
    assert not leads.is_held
    asyncio.run(leads.acquire())
    assert leads.is_held
    assert clock.now == 1000
    lease = the_lease(server)
    assert (lease["holderIdentity"], lease["leaseDurationSeconds"]) == ("one", LEASE)


def test_a_held_lease_is_waited_for_its_whole_duration_by_the_candidates_own_clock(
    server: ApiServer, clock: Clock
) -> None:
    a_leader(server, clock, "dead")
    clock.now += 100  # how old it is already, no clock of ours knows
    began = clock.now
    a_leader(server, clock, "two")
    assert LEASE <= clock.now - began <= LEASE + RETRY
    assert the_lease(server)["holderIdentity"] == "two"
    assert the_lease(server)["leaseTransitions"] == 1


def test_a_lease_that_is_renewed_is_not_taken(server: ApiServer, clock: Clock) -> None:
    a_leader(server, clock, "alive")
    second = a_candidate(server, clock, "two")
    renewals = 0

    def renew() -> None:
        nonlocal renewals
        renewals += 1
        lease = server.objects[LEASES, "t2v", "operator"]
        changed = lease["spec"] | {"renewTime": f"renewal {renewals}"}
        server.put(LEASES, {**lease, "spec": changed})

    clock.on_sleep = renew

    async def try_for_long() -> None:
        task = asyncio.create_task(second.acquire())
        while renewals < 50:
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()

    asyncio.run(try_for_long())
    assert not second.is_held
    assert the_lease(server)["holderIdentity"] == "alive"


def test_it_is_not_held_after_the_deadline_though_nobody_said_so(
    server: ApiServer, clock: Clock
) -> None:
    """A process that was stopped for a minute finds out before its next write."""
    leads = a_leader(server, clock)
    clock.now += RENEW - 0.1
    assert leads.is_held
    clock.now += 0.2
    assert not leads.is_held


def test_the_deadline_counts_from_before_the_request_and_not_from_its_answer(
    server: ApiServer, clock: Clock
) -> None:
    leads = a_candidate(server, clock)
    create = server.create

    async def slow(*arguments: Any) -> Any:
        clock.now += 4
        return await create(*arguments)

    server.create = slow  # type: ignore[method-assign,assignment]
    asyncio.run(leads.acquire())
    clock.now += RENEW - 4
    assert not leads.is_held


def test_of_two_that_write_one_wins(server: ApiServer, clock: Clock) -> None:
    a_leader(server, clock, "dead")
    one, two = a_candidate(server, clock, "one"), a_candidate(server, clock, "two")

    async def both() -> None:
        tasks = [asyncio.create_task(each.acquire()) for each in (one, two)]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        assert len(done) == 1

    asyncio.run(both())
    assert one.is_held is not two.is_held
    assert the_lease(server)["holderIdentity"] == ("one" if one.is_held else "two")


def test_who_comes_second_by_a_moment_does_not_lead(server: ApiServer, clock: Clock) -> None:
    leads = a_candidate(server, clock, "late")
    server.refusals["create", "leases"] = ClusterError(409, "AlreadyExists", "already exists")
    clock.on_sleep = lambda: a_leader_now(server)

    async def try_a_little() -> None:
        task = asyncio.create_task(leads.acquire())
        while clock.now < 1000 + LEASE:
            assert not leads.is_held
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(try_a_little())


def a_leader_now(server: ApiServer) -> None:
    if not server.all_of(LEASES):
        metadata = {"name": "operator", "namespace": "t2v"}
        spec = {"holderIdentity": "first", "renewTime": "now", "leaseDurationSeconds": 15}
        server.put(LEASES, {"metadata": metadata, "spec": spec})


def test_a_released_lease_is_taken_by_the_next_at_once(server: ApiServer, clock: Clock) -> None:
    leads = a_leader(server, clock)
    asyncio.run(leads.release())
    assert not leads.is_held
    began = clock.now
    a_leader(server, clock, "two")
    assert clock.now - began <= RETRY


def test_who_does_not_lead_releases_nothing(server: ApiServer, clock: Clock) -> None:
    a_leader(server, clock)
    asyncio.run(a_candidate(server, clock, "two").release())
    assert the_lease(server)["holderIdentity"] == "one"


def test_who_does_not_lead_any_more_releases_nothing(server: ApiServer, clock: Clock) -> None:
    leads = a_leader(server, clock)
    hand_over(server, "two")
    clock.now += 60
    asyncio.run(leads.release())
    assert the_lease(server)["holderIdentity"] == "two"


def test_a_release_that_fails_ends_quietly(server: ApiServer, clock: Clock) -> None:
    leads = a_leader(server, clock)
    server.refusals["update", "leases"] = AWAY
    asyncio.run(leads.release())
    assert not leads.is_held


@pytest.mark.parametrize(
    "fault",
    [AWAY, ClusterError(500, "", "etcd is away"), TimeoutError(), OSError("reset")],
    ids=repr,
)
def test_a_renewal_that_fails_once_ends_nothing(
    server: ApiServer, clock: Clock, fault: Exception
) -> None:
    leads = a_leader(server, clock)
    server.refusals["update", "leases"] = fault

    async def keep_a_little() -> None:
        task = asyncio.create_task(leads.keep())
        while clock.now < 1000 + 60:
            await asyncio.sleep(0)
            assert leads.is_held
        task.cancel()

    asyncio.run(keep_a_little())
    assert ("update", "leases") not in server.refusals, "it did fail"


def test_who_cannot_renew_leads_no_more_before_others_may_take_it(
    server: ApiServer, clock: Clock
) -> None:
    leads = a_leader(server, clock)

    def away() -> None:
        server.refusals |= {("update", "leases"): AWAY, ("get", "leases"): AWAY}

    clock.on_sleep = away
    with pytest.raises(LeadershipLost):
        asyncio.run(leads.keep())
    assert not leads.is_held
    assert clock.now - 1000 < LEASE


def test_who_sees_another_name_on_the_lease_stops_writing_at_once(
    server: ApiServer, clock: Clock
) -> None:
    leads = a_leader(server, clock)
    hand_over(server, "two")
    with pytest.raises(LeadershipLost):
        asyncio.run(leads.keep())
    assert not leads.is_held
    assert clock.now - 1000 <= 2 * RETRY, "two that write at a time are one too many"
    assert the_lease(server)["holderIdentity"] == "two"


def test_a_leader_that_slept_does_not_go_on_where_another_led(
    server: ApiServer, clock: Clock
) -> None:
    leads = a_leader(server, clock)
    hand_over(server, "two")
    clock.now += 3600
    with pytest.raises(LeadershipLost):
        asyncio.run(leads.keep())
    assert the_lease(server)["holderIdentity"] == "two"


def test_a_leader_that_slept_does_not_go_on_though_the_other_gave_the_lease_back(
    server: ApiServer, clock: Clock
) -> None:
    """What it knows is older than what the other wrote: it has to begin as a candidate."""
    leads = a_leader(server, clock)
    server.refusals["update", "leases"] = AWAY  # its last renewal before
    times = 0

    def sleeps() -> None:
        nonlocal times
        times += 1
        if times == 2:
            clock.now += 3600
            hand_over(server, "two")
            hand_over(server, "")
        assert times < 50, "it leads again, and nobody noticed"

    clock.on_sleep = sleeps
    with pytest.raises(LeadershipLost):
        asyncio.run(leads.keep())


@pytest.mark.parametrize("is_there", [False, True], ids=["it makes it", "it takes it over"])
def test_a_lease_that_was_being_taken_when_the_end_came_is_given_back(
    server: ApiServer, clock: Clock, is_there: bool
) -> None:
    """The API server has written it; the answer has not come, so nobody here knows."""
    if is_there:
        asyncio.run(a_leader(server, clock, "before").release())
    leads = a_candidate(server, clock)
    write, written = server.write_lease, asyncio.Event()

    async def written_and_never_answered(*arguments: Any) -> Any:
        await write(*arguments)
        written.set()
        await asyncio.Event().wait()

    async def taken_and_ended() -> None:
        server.write_lease = written_and_never_answered  # type: ignore[method-assign]
        task = asyncio.create_task(leads.acquire())
        await written.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.write_lease = write  # type: ignore[method-assign]
        assert the_lease(server)["holderIdentity"] == "one"
        await leads.release()

    asyncio.run(taken_and_ended())
    assert the_lease(server)["holderIdentity"] == ""
    began = clock.now
    a_leader(server, clock, "two")
    assert clock.now == began, "the next need not wait"
