"""Who gets which sandbox. No container runs here: rows and sockets stand as a start leaves them."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from sandbox import announcements, pool, tending
from sandbox.doors import local_door
from sandbox.failures import Fault, StartFailed
from sandbox.models import PoolTarget, Sandbox
from sandbox.places import socket_path
from sandbox.spec import RunSpec, Trust
from sandbox.tokens import InvalidToken, sandbox_for
from sandbox.transitions import change_status
from tests.sandbox.conftest import SOME_IMAGE
from tests.sandbox.servers import listening, warm_row

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("here")]
SPEC = RunSpec(image_id=SOME_IMAGE)
Status = Sandbox.Status


def claim(key="conversation-1", *, tenant="version-1", spec=SPEC, wait=0.0):
    return pool.claim(spec=spec, tenant=tenant, claim_key=key, wait_seconds=wait)


@contextlib.contextmanager
def warm(*tenants, spec=SPEC):
    """Living warm sandboxes, one for each tenant named."""
    with contextlib.ExitStack() as stack:
        rows = []
        for tenant in tenants or ("version-1",):
            row, token = warm_row(spec, tenant=tenant)
            stack.enter_context(listening(socket_path(row.pk)))
            rows.append((row, token))
        yield rows


def in_threads(calls):
    def run(call):
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as executor:
        return [future.result() for future in [executor.submit(run, call) for call in calls]]


def test_a_warm_one_is_claimed_and_named_by_its_token(run_dir):
    with warm() as [(row, token)]:
        with pytest.raises(InvalidToken):
            sandbox_for(token, caller=row.pk)
        claimed = claim()
        assert (claimed.id, claimed.was_warm) == (row.pk, True)
        assert claimed.door == local_door(row.pk)
        assert sandbox_for(token, caller=row.pk) == (row.pk, "conversation-1")
        history = [(c.from_status, c.to_status, c.by) for c in row.changes.all()]
        assert history == [("warm", "claimed", "pool")]


def test_release_ends_the_token_at_once(run_dir):
    with warm() as [(row, token)]:
        claimed = claim()
        assert pool.release(sandbox_id=claimed.id, reason="the conversation ended")
        with pytest.raises(InvalidToken):
            sandbox_for(token, caller=row.pk)
        assert not pool.release(sandbox_id=claimed.id, reason="again")
        row.refresh_from_db()
        assert (row.status, row.reason) == (Status.STOPPED, "the conversation ended")


@pytest.mark.parametrize("token", ["", "run_", "run_" + "x" * 43, "x" * 10_000, "run_\x00"])
def test_other_tokens_mean_nothing(token):
    with pytest.raises(InvalidToken):
        sandbox_for(token, caller=new_id())


def test_the_second_turn_gets_the_same_one(run_dir):
    with warm("version-1", "version-1"):
        assert claim().id == claim().id
        assert claim("conversation-2").id != claim().id


def test_nobody_gets_a_sandbox_of_another_tenant_or_spec(run_dir):
    with (
        warm("version-2"),
        warm(spec=RunSpec(image_id=SOME_IMAGE, trust=Trust.REVIEWED)),
        warm() as [(mine, _)],
    ):
        assert claim().id == mine.pk
        with pytest.raises(pool.NoCapacity):
            claim("conversation-2")


def test_a_claim_key_is_not_moved_to_another_tenant(run_dir):
    with warm():
        claim()
        with pytest.raises(pool.ClaimConflict):
            claim(tenant="version-2")


def test_many_at_once_never_share(run_dir):
    with warm(*["version-1"] * 8) as rows:
        keys = [f"conversation-{n % 8}" for n in range(24)]
        claimed = in_threads([lambda key=key: (key, claim(key, wait=5).id) for key in keys])
    by_key = dict(claimed)
    assert all(by_key[key] == sandbox_id for key, sandbox_id in claimed), "one key, two sandboxes"
    assert sorted(by_key.values()) == sorted(row.pk for row, _ in rows)


def test_a_dead_one_is_never_given(run_dir):
    dead, token = warm_row(SPEC)
    with warm() as [(alive, _)]:
        assert claim().id == alive.pk
    dead.refresh_from_db()
    assert (dead.status, dead.fault, dead.failure_code) == (Status.FAILED, Fault.AGENT, "not_listening")
    with pytest.raises(InvalidToken):
        sandbox_for(token, caller=dead.pk)


def test_one_that_died_in_its_conversation_is_replaced(run_dir):
    with warm():
        first = claim()
    with warm() as [(fresh, _)]:
        assert claim().id == fresh.pk != first.id
    assert Sandbox.objects.filter(claim_key="conversation-1", status__in=Sandbox.LIVE).count() == 1


def test_without_a_warm_one_a_start_is_reserved_once(run_dir):
    for _ in range(3):
        with pytest.raises(pool.NoCapacity, match="longer than usual"):
            claim()
    row = Sandbox.objects.get()
    assert (row.status, row.claim_key) == (Status.STARTING, "conversation-1")


def test_who_waits_learns_of_the_start_and_of_its_failure(run_dir):
    def finish(**fields):
        until = time.monotonic() + 10
        while not announcements._client().info("clients")["blocked_clients"]:
            assert time.monotonic() < until, "nobody waits"
        row = Sandbox.objects.get(status=Status.STARTING)
        to = fields.pop("to")
        change_status(sandbox_id=row.pk, to=to, from_=(Status.STARTING,), by="test", **fields)
        announcements.announce(row.pk)

    with pytest.raises(pool.NoCapacity):
        claim()
    with contextlib.ExitStack() as stack:
        stack.enter_context(listening(socket_path(Sandbox.objects.get().pk)))
        _, claimed = in_threads(
            [lambda: finish(to=Status.CLAIMED, claimed_at=now(), ready_at=now()), lambda: claim(wait=10)]
        )
        assert not claimed.was_warm
    with pytest.raises(pool.NoCapacity):
        claim("conversation-2")
    failed = {"fault": Fault.AGENT, "failure_code": "exited", "reason": "it ended", "log_tail": "Traceback"}
    with pytest.raises(StartFailed) as caught:
        in_threads(
            [
                lambda: claim("conversation-2", wait=10),
                lambda: finish(to=Status.FAILED, **failed),
            ]
        )
    assert (caught.value.fault, caught.value.code) == (Fault.AGENT, "exited")
    assert caught.value.log_tail == "Traceback"


async def test_the_async_claim_is_the_same(run_dir):
    row, _ = await sync_to_async(warm_row)(SPEC)
    with listening(socket_path(row.pk)):
        claimed = await pool.aclaim(spec=SPEC, tenant="version-1", claim_key="c", wait_seconds=1)
    assert claimed.id == row.pk
    assert await sync_to_async(pool.release)(sandbox_id=row.pk, reason="done")
    await sync_to_async(lambda: connection.close())()


def test_tending_fills_to_the_floor_once_and_stops_the_rest(run_dir, settings):
    pool.set_target(spec=SPEC, tenant="version-1", floor=2)
    pool.set_target(spec=SPEC, tenant="version-1", floor=3)
    in_threads([tending.tend_pool] * 4)
    assert Sandbox.objects.filter(status=Status.STARTING).count() == 3
    Sandbox.objects.update(status=Status.WARM, ready_at=now())
    pool.set_target(spec=SPEC, tenant="version-1", floor=1)
    assert tending.tend_pool() == {"started": 0, "stopped": 2}
    pool.clear_target(tenant="version-1")
    assert not PoolTarget.objects.exists()
    assert tending.tend_pool() == {"started": 0, "stopped": 1}


def test_a_new_version_of_the_spec_replaces_the_old_reserve(run_dir):
    with warm() as [(old, _)]:
        pool.set_target(spec=RunSpec(image_id=SOME_IMAGE, trust=Trust.REVIEWED), tenant="version-1", floor=1)
        assert tending.tend_pool() == {"started": 1, "stopped": 1}
    old.refresh_from_db()
    assert old.status == Status.STOPPED


def test_what_does_not_start_is_tried_less_and_less(run_dir):
    pool.set_target(spec=SPEC, tenant="version-1", floor=1)
    started = 0
    for _ in range(5):
        started += tending.tend_pool()["started"]
        Sandbox.objects.filter(status=Status.STARTING).update(status=Status.FAILED, ended_at=now())
    assert started == 1
    Sandbox.objects.update(ended_at=now() - timedelta(seconds=6))
    assert tending.tend_pool()["started"] == 1


def test_suspending_a_tenant_ends_all_it_has(run_dir):
    pool.set_target(spec=SPEC, tenant="version-1", floor=1)
    with warm("version-1", "version-1", "version-2") as rows:
        claim()
        assert pool.release_tenant(tenant="version-1", reason="suspended") == 2
    assert [Sandbox.objects.get(pk=row.pk).status for row, _ in rows] == ["stopped", "stopped", "warm"]
