"""Places, who waits for them and who makes room. No container runs here: rows stand as a start leaves them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from agentstore.kit.clock import now
from agentstore.kit.threads import start_background
from sandbox import hosts, pool
from sandbox.models import Host, Sandbox, WaitingClaim
from sandbox.places import socket_path
from sandbox.spec import MIB, RunSpec, Trust
from tests.sandbox.conftest import SOME_IMAGE, known_host
from tests.sandbox.servers import listening, warm_row

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("run_dir")]
SPEC = RunSpec(image_id=SOME_IMAGE)
Status = Sandbox.Status


def claim(key="conversation-1", *, spec=SPEC, wait=0.0, **more):
    return pool.claim(spec=spec, tenant="version-1", claim_key=key, wait_seconds=wait, **more)


def refused(key, match, **more):
    with pytest.raises(pool.NoCapacity, match=match):
        claim(key, **more)


def is_given_a_place(key, **more):
    refused(key, "longer than usual", **more)
    return Sandbox.objects.get(claim_key=key, status=Status.STARTING)


def stand_in_line(*keys):
    """Claims that wait, in this order."""
    for number, key in enumerate(keys):
        since = now() - timedelta(seconds=60 - number)
        WaitingClaim.objects.create(claim_key=key, tenant="version-1", trust=SPEC.trust, since=since)


def here(**fields) -> Host:
    return known_host(hosts.this_host(), **fields)


def held(key="held", **fields) -> Sandbox:
    """A conversation's sandbox on this host; it rests unless told otherwise."""
    row, _ = warm_row(
        SPEC, status=Status.CLAIMED, claim_key=key, host=hosts.this_host(), claimed_at=now(),
        **{"last_used_at": now(), **fields},
    )  # fmt: skip
    return row


def removed(row: Sandbox) -> None:
    """As its host says once nothing of it is left."""
    row.refresh_from_db()
    assert row.status not in Sandbox.LIVE
    Sandbox.objects.filter(pk=row.pk).update(removed_at=now())


def test_a_full_host_refuses_honestly_and_a_place_is_free_once_its_sandbox_is_gone():
    here(places=1)
    busy = held(busy_until=now() + timedelta(minutes=1))
    refused("conversation-2", "taken")
    pool.release(sandbox_id=busy.pk, reason="done")
    refused("conversation-2", "taken")
    removed(busy)
    assert is_given_a_place("conversation-2").host == hosts.this_host()


@pytest.mark.parametrize("wish", [{"memory_bytes": 300 * MIB}, {"memory_bytes": 64 * MIB}])
def test_memory_is_a_place_too(wish):
    """The limits of all sandboxes stay within what the host sets aside, whatever they use."""
    here(memory_bytes=512 * MIB)
    first = RunSpec(image_id=SOME_IMAGE, memory_bytes=256 * MIB)
    is_given_a_place("one", spec=first)
    spec = RunSpec(image_id=SOME_IMAGE, **wish)
    if wish["memory_bytes"] > 256 * MIB:
        refused("two", "taken", spec=spec)
    else:
        is_given_a_place("two", spec=spec)


def test_warm_ones_make_room_first_then_the_conversation_that_rested_longest():
    here(places=4)
    busy = held("busy", busy_until=now() + timedelta(minutes=1), last_used_at=now() - timedelta(hours=2))
    rested = held("rested", last_used_at=now() - timedelta(hours=1))
    fresh = held("fresh", busy_until=now() - timedelta(seconds=1))
    warm, _ = warm_row(SPEC, tenant="version-2", host=hosts.this_host())
    gone = []
    for number, expected in enumerate((warm, rested, fresh)):
        # One look at a time asks for one place, however often it is looked.
        refused(f"new-{number}", "taken")
        refused(f"new-{number}", "taken")
        ended = Sandbox.objects.filter(status=Status.STOPPED, removed_at=None).get()
        assert (ended.pk, ended.reason) == (expected.pk, "made room for a conversation")
        gone.append(ended)
        removed(ended)
        is_given_a_place(f"new-{number}")
    refused("new-4", "taken")
    busy.refresh_from_db()
    assert busy.status == Status.CLAIMED


def test_an_evicted_conversation_gets_a_fresh_one_on_its_next_turn():
    here(places=1)
    with contextlib.ExitStack() as stack:
        row, _ = warm_row(SPEC, host=hosts.this_host())
        stack.enter_context(listening(socket_path(row.pk)))
        assert claim("mine").id == row.pk
        refused("another", "taken")
        row.refresh_from_db()
        assert row.status == Status.CLAIMED, "a turn may be using it"
        assert pool.rest_claim(claim_key="mine")
        refused("another", "taken")
    removed(row)
    is_given_a_place("another")
    Sandbox.objects.filter(claim_key="another").update(status=Status.STOPPED, removed_at=now())
    assert is_given_a_place("mine").pk != row.pk


def test_who_came_first_is_served_first_and_knows_how_many_go_before():
    here(places=1)
    busy = held(busy_until=now() + timedelta(minutes=1))
    stand_in_line("first", "second", "third")
    pool.release(sandbox_id=busy.pk, reason="done")
    removed(busy)
    for key in ("third", "second", "newcomer"):
        refused(key, "taken")
    is_given_a_place("first")
    assert not WaitingClaim.objects.filter(claim_key="first").exists()


def test_nobody_waits_behind_one_who_has_left():
    here(places=1)
    stand_in_line("gone")
    WaitingClaim.objects.update(seen_at=now() - timedelta(seconds=60))
    is_given_a_place("next")


def test_a_reserve_is_not_filled_before_those_who_wait():
    here(places=2)
    stand_in_line("first", "second")
    pool.set_target(spec=SPEC, tenant="version-9", floor=1)
    from sandbox import tending

    assert tending.tend_pool()["started"] == 0


async def test_who_waits_is_told_how_many_go_before(here):
    told = []

    async def on_wait(waiting):
        told.append(waiting.ahead)
        await sync_to_async(WaitingClaim.objects.filter(claim_key=f"other-{len(told)}").delete)()

    await sync_to_async(Host.objects.update)(places=0)
    await sync_to_async(stand_in_line)("other-1", "other-2")
    with pytest.raises(pool.NoCapacity):
        await pool.aclaim(
            spec=SPEC, tenant="version-1", claim_key="mine", wait_seconds=0, place_seconds=3, on_wait=on_wait
        )
    assert told == [2, 1, 0]
    await sync_to_async(lambda: connection.close())()


async def test_a_crowd_that_waits_holds_neither_threads_nor_connections():
    """Else the turns of a burst take the whole pool, and nobody who could let them go on gets a connection."""
    told = asyncio.Event()
    waiting = set[str]()

    def on_wait(key):
        async def note(_):
            waiting.add(key)
            if len(waiting) == 20:
                told.set()

        return note

    await sync_to_async(here)(places=0)
    before = threading.active_count()
    crowd = [
        start_background(
            pool.aclaim(
                spec=SPEC, tenant="version-1", claim_key=key, wait_seconds=0, place_seconds=60, on_wait=on_wait(key)
            ),
            name=key,
        )
        for key in map(str, range(20))
    ]  # fmt: skip
    try:
        async with asyncio.timeout(30):
            await told.wait()
        assert threading.active_count() <= before + 8
        assert await sync_to_async(open_connections)() <= 8
    finally:
        for one in crowd:
            one.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
    await sync_to_async(lambda: connection.close())()


def open_connections():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return cursor.fetchone()[0]


def test_the_time_in_line_is_not_taken_from_the_start():
    """A place that comes at the last moment still leaves the start its whole time."""
    from sandbox.claiming import Waiting

    patience = pool._Patience(wait_seconds=10, place_seconds=100)
    patience.began -= 95
    assert 4 < patience.left(Waiting()) <= 5
    starting = Waiting(held().pk)
    assert 9 < patience.left(starting) <= 10


def test_a_place_is_waited_for_as_long_as_was_promised_however_long_a_start_may_take():
    from sandbox.claiming import Waiting

    patience = pool._Patience(wait_seconds=100, place_seconds=10)
    patience.began -= 11
    assert patience.left(Waiting()) < 0
    together = pool._Patience(wait_seconds=100, place_seconds=None)
    together.began -= 11
    assert 88 < together.left(Waiting()) <= 89
    assert 88 < together.left(Waiting(held().pk)) <= 89


def test_places_are_never_oversold():
    here(places=3)

    def attempt(number):
        try:
            with contextlib.suppress(pool.NoCapacity):
                claim(f"conversation-{number}")
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as executor:
        list(executor.map(attempt, range(12)))
    assert Sandbox.objects.filter(status__in=Sandbox.LIVE).count() == 3


def test_the_emptiest_of_the_hosts_that_can_takes_it():
    here(places=4)
    held()
    known_host("half-full", places=2, address="10.0.0.2:7000")
    warm_row(SPEC, host="half-full")
    assert is_given_a_place("one").host == hosts.this_host()
    known_host("big", places=100, address="10.0.0.3:7000")
    assert is_given_a_place("two").host == "big"


@pytest.mark.parametrize(
    "unfit",
    [
        {"status": Host.Status.DRAINING}, {"status": Host.Status.LOST}, {"refusal": "no_network: 1.1.1.1"},
        {"proven_at": None}, {"runtimes": {"reviewed": "runc"}}, {"heartbeat_at": now() - timedelta(hours=1)},
        {"address": ""},
    ],
)  # fmt: skip
def test_nothing_is_placed_where_it_could_not_run_or_be_reached(unfit):
    known_host("elsewhere", **{"address": "10.0.0.2:7000", **unfit})
    refused("one", "taken")
    here()
    assert is_given_a_place("one").host == hosts.this_host()
    if "runtimes" in unfit:
        Host.objects.filter(name=hosts.this_host()).delete()
        assert (
            is_given_a_place("two", spec=RunSpec(image_id=SOME_IMAGE, trust=Trust.REVIEWED)).host
            == "elsewhere"
        )
