"""From a claim to the last trace, with real containers."""

from __future__ import annotations

import asyncio
import time

import pytest

from agentstore.kit.clock import now
from sandbox import pool, protocols, reaper, starting, tending
from sandbox.engine.client import engine_client
from sandbox.failures import AgentFailure, Fault, StartFailed
from sandbox.images import build_source
from sandbox.models import Sandbox
from sandbox.places import door_dir, gateway_dir
from sandbox.protocols import Done, InvokeRequest
from sandbox.spec import RunSpec, Trust
from sandbox.tokens import InvalidToken, sandbox_for
from tests.sandbox import outside
from tests.sandbox.servers import warm_row

pytestmark = pytest.mark.containers
Status = Sandbox.Status


def ask(claimed, prompt, deadline=10.0):
    request = InvokeRequest(prompt=prompt, messages=(), conversation="c", turn="t")

    async def run():
        events = protocols.for_name(claimed.protocol).invoke(claimed.door, request, deadline)
        return [event async for event in events][-1]

    return asyncio.run(run())


def claim(spec, key="conversation-1"):
    return pool.claim(spec=spec, tenant="version-1", claim_key=key, wait_seconds=30)


def token_of(driver, sandbox_id):
    return outside.environment_of(driver, sandbox_id)["AGENTSTORE_TOKEN"]


def gone(driver, sandbox_id):
    left = [path for path in (door_dir(sandbox_id), gateway_dir(sandbox_id)) if path.exists()]
    return not driver.state(driver.handle_of(sandbox_id)).exists and not left


def bundle(tmp_path, source, **fields):
    (tmp_path / "bundle").mkdir(exist_ok=True)
    (tmp_path / "bundle" / "main.py").write_text(source)
    image = build_source(bundle_dir=tmp_path / "bundle", runtime="python", command="python3 main.py")
    return RunSpec(image_id=image.image_id, trust=Trust.REVIEWED, cpus=1.0, **fields)


def test_a_conversation_from_claim_to_the_last_trace(own_stack, driver, spec):
    claimed = claim(spec)
    token = token_of(driver, claimed.id)
    assert sandbox_for(token, caller=claimed.id) == (claimed.id, "conversation-1")
    assert ask(claimed, "hello") == Done("You said: hello")
    assert claim(spec).id == claimed.id
    pool.release(sandbox_id=claimed.id, reason="the conversation ended")
    with pytest.raises(InvalidToken):
        sandbox_for(token, caller=claimed.id)
    assert gone(driver, claimed.id)
    row = Sandbox.objects.get(pk=claimed.id)
    assert row.removed_at is not None
    assert [c.to_status for c in row.changes.all()] == ["starting", "claimed", "stopped"]
    assert token not in str(Sandbox.objects.filter(pk=row.pk).values().get())


def test_a_warm_one_has_a_token_that_means_nothing_yet(own_stack, driver, spec, settings):
    settings.SANDBOX_WARM_CEILING = 1
    pool.set_target(spec=spec, tenant="version-1", floor=1)
    row = Sandbox.objects.get(status=Status.WARM)
    token = token_of(driver, row.pk)
    with pytest.raises(InvalidToken):
        sandbox_for(token, caller=row.pk)
    claimed = claim(spec)
    assert (claimed.id, claimed.was_warm) == (row.pk, True)
    assert sandbox_for(token, caller=row.pk)[1] == "conversation-1"
    assert Sandbox.objects.filter(status=Status.WARM).count() == 1, "the reserve is filled again"


def test_an_agent_that_dies_is_replaced_for_the_next_turn(own_stack, driver, spec):
    first = claim(spec)
    with pytest.raises(AgentFailure) as died:
        ask(first, "die")
    assert died.value.fault is Fault.AGENT
    until = time.monotonic() + 10
    while driver.state(driver.handle_of(first.id)).running or first.door.is_answering():
        assert time.monotonic() < until, "the relay outlives its agent"
    second = claim(spec)
    assert second.id != first.id
    assert ask(second, "still here?") == Done("You said: still here?")


@pytest.mark.parametrize(
    ("source", "code", "fault", "log"),
    [
        ("print('no key'); raise SystemExit(7)", "exited", Fault.AGENT, "no key"),
        ("import time; print('busy', flush=True); time.sleep(60)", "start_timeout", Fault.AGENT, "busy"),
        ("x = [b'x' * 10**7 for _ in range(100)]", "out_of_memory", Fault.AGENT, ""),
        ("import not_vendored", "exited", Fault.AGENT, "ModuleNotFoundError"),
    ],
)
def test_a_start_that_fails_says_whose_fault_it_was(own_stack, driver, tmp_path, source, code, fault, log):
    spec = bundle(tmp_path, source, start_seconds=3, memory_bytes=64 * 2**20)
    with pytest.raises(StartFailed) as failed:
        claim(spec)
    assert (failed.value.code, failed.value.fault) == (code, fault)
    assert log in failed.value.log_tail
    row = Sandbox.objects.get()
    assert (row.status, row.fault, row.failure_code) == (Status.FAILED, fault, code)
    assert gone(driver, row.pk)


def test_an_image_that_is_gone_is_ours_to_repair(own_stack, driver, spec):
    with pytest.raises(StartFailed) as failed:
        claim(RunSpec(image_id="sha256:" + "0" * 64, trust=Trust.REVIEWED))
    assert (failed.value.code, failed.value.fault) == ("image_missing", Fault.PLATFORM)


def test_a_start_delivered_twice_starts_once(own_stack, driver, spec):
    claimed = claim(spec)
    assert not starting.start_sandbox(sandbox_id=claimed.id, driver=driver)
    assert ask(claimed, "hello") == Done("You said: hello")


def test_a_start_that_lost_its_worker_is_taken_up_again(own_stack, driver, spec):
    """As after a kill: the container runs, the row still says that it is starting."""
    claimed = claim(spec)
    stale = token_of(driver, claimed.id)
    Sandbox.objects.filter(pk=claimed.id).update(status=Status.STARTING, handle="")
    assert starting.start_sandbox(sandbox_id=claimed.id, driver=driver)
    with pytest.raises(InvalidToken):
        sandbox_for(stale, caller=claimed.id)
    assert ask(claimed, "hello") == Done("You said: hello")


def test_what_was_killed_outside_is_found_and_told_apart(own_stack, driver, spec):
    dead, removed = claim(spec, "one"), claim(spec, "two")
    outside.kill(driver, dead.id)
    until = time.monotonic() + 10
    while driver.state(driver.handle_of(dead.id)).running:
        assert time.monotonic() < until
    driver.stop(driver.handle_of(removed.id))
    assert reaper.reap_sandboxes(driver=driver)["died"] == 2
    assert Sandbox.objects.get(pk=dead.id).fault == Fault.AGENT
    assert Sandbox.objects.get(pk=removed.id).fault == Fault.PLATFORM
    assert gone(driver, dead.id)
    assert gone(driver, removed.id)


def test_what_ended_since_nobody_looked_after_it_is_ours(own_stack, driver, spec, settings):
    """As after an hour without the sandbox worker; each round of the reaper is a sign of life."""
    claim(spec, "so that the driver is proven")
    settings.SANDBOX_DEAD_MAN_SECONDS = 5
    claimed = claim(spec)
    alive = gateway_dir(claimed.id) / "alive"
    before = alive.read_text()
    assert reaper.reap_sandboxes(driver=driver)["died"] == 0
    assert alive.read_text() != before
    until = time.monotonic() + 40
    while driver.state(driver.handle_of(claimed.id)).running:
        assert time.monotonic() < until
    assert reaper.reap_sandboxes(driver=driver)["died"] == 1
    row = Sandbox.objects.get(pk=claimed.id)
    assert (row.fault, row.failure_code) == (Fault.PLATFORM, "unattended")


def test_a_container_without_a_row_is_removed_and_a_neighbour_stack_is_not(own_stack, driver, spec, settings):
    stray, kept = claim(spec, "one"), claim(spec, "two")
    Sandbox.objects.filter(pk=stray.id).delete()
    settings.SANDBOX_STACK = own_stack + "x"
    assert reaper.reap_sandboxes(driver=driver)["strays"] == 0
    settings.SANDBOX_STACK = own_stack
    assert reaper.reap_sandboxes(driver=driver)["strays"] == 1
    assert gone(driver, stray.id)
    assert ask(kept, "hello") == Done("You said: hello")


def test_idle_claims_and_lost_starts_end(own_stack, driver, spec, settings):
    idle = claim(spec)
    settings.SANDBOX_IDLE_SECONDS = 0
    lost, _ = warm_row(spec, status=Status.STARTING, claim_key="two", ready_at=None)
    Sandbox.objects.filter(pk=lost.pk).update(created_at=now().replace(year=2020))
    done = reaper.reap_sandboxes(driver=driver)
    assert (done["idle"], done["lost"]) == (1, 1)
    assert gone(driver, idle.id)
    lost.refresh_from_db()
    assert (lost.status, lost.failure_code, lost.fault) == (Status.FAILED, "start_lost", Fault.PLATFORM)


def test_a_release_while_it_starts_leaves_nothing(own_stack, driver, spec, settings):
    row, _ = warm_row(spec, status=Status.STARTING, ready_at=None)
    released = []

    class ReleasingDriver:
        """The driver, and somebody who changes their mind just after its start."""

        def __getattr__(self, name):
            return getattr(driver, name)

        def start(self, launch):
            started = driver.start(launch)
            released.append(pool.release(sandbox_id=row.pk, reason="changed my mind"))
            return started

    starting.start_sandbox(sandbox_id=row.pk, driver=ReleasingDriver())
    assert released == [True]
    assert gone(driver, row.pk)
    row.refresh_from_db()
    assert row.status == Status.STOPPED


def test_tending_and_a_clean_end(own_stack, driver, spec):
    pool.set_target(spec=spec, tenant="version-1", floor=2)
    assert Sandbox.objects.filter(status=Status.WARM).count() == 2
    pool.clear_target(tenant="version-1")
    tending.tend_pool()
    assert driver.list_sandboxes(own_stack) == []
    if driver.name == "docker":
        assert not engine_client().api.volumes()["Volumes"]


def test_starting_is_fast(own_stack, driver, spec):
    """Not the benchmark: a bound that a regression of the kind "one more second" does not pass."""
    claim(spec, "first")
    started = time.monotonic()
    claim(spec, "second")
    assert time.monotonic() - started < 5
