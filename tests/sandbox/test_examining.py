"""Agents that press against their limits, in real containers: noticed, typed, and told with what was counted."""

from __future__ import annotations

import asyncio
import time

import pytest

from sandbox import dispatch, examining, pool, protocols, reaper
from sandbox.failures import AgentFailure, Fault
from sandbox.images import build_source
from sandbox.models import Sandbox
from sandbox.protocols import InvokeRequest
from sandbox.spec import MIB, RunSpec, Trust
from sandbox.strain import limits_met
from tests.sandbox.conftest import AGENTS

pytestmark = pytest.mark.containers
Status = Sandbox.Status


@pytest.fixture
def hostile(driver, own_stack, db):
    image = build_source(bundle_dir=AGENTS / "hostile", runtime="python", command="python3 main.py")

    def start(trust=Trust.REVIEWED, **limits):
        spec = RunSpec(
            image_id=image.image_id, trust=trust, **{"cpus": 1.0, "memory_bytes": 96 * MIB, **limits}
        )
        return pool.claim(spec=spec, tenant="version-1", claim_key="conversation-1", wait_seconds=120)

    return start


def attack(claimed, prompt, deadline=8.0) -> str:
    """The code by which the turn sees it."""
    request = InvokeRequest(prompt=prompt, messages=(), conversation="c", turn="t")

    async def run():
        adapter = protocols.for_name(claimed.protocol)
        return [e async for e in adapter.invoke(claimed.door, request, deadline, claimed.answer_bytes)]

    with pytest.raises(AgentFailure) as failed:
        asyncio.run(run())
    return failed.value.code


def look(driver, claimed):
    return examining.examine_sandbox(sandbox_id=claimed.id, driver=driver)


@pytest.mark.parametrize("trust", list(Trust))
def test_out_of_memory_in_a_turn_is_found_behind_the_broken_connection(driver, hostile, trust):
    claimed = hostile(trust)
    assert attack(claimed, "memory", deadline=30) == "connection_lost"
    found = look(driver, claimed)
    assert (found.code, found.fault) == ("out_of_memory", Fault.AGENT)
    row = Sandbox.objects.get()
    if row.status == Status.FAILED:
        assert (row.failure_code, row.fault) == ("out_of_memory", Fault.AGENT)
    else:
        # Only its program died so far: the host counted that.
        assert found.strain.memory_kills
    assert "asked: memory" in found.log_tail
    assert "\x1b" not in found.log_tail


def test_forks_that_eat_the_memory_are_told_as_that(driver, hostile):
    """gVisor takes a while to die of it, and accepts connections meanwhile."""
    claimed = hostile(Trust.UNTRUSTED, pids=64)
    assert attack(claimed, "forks", deadline=30) == "connection_lost"
    assert look(driver, claimed).code == "out_of_memory"


def test_a_crash_is_told_as_one_with_the_log(driver, hostile):
    claimed = hostile()
    assert attack(claimed, "crash") == "connection_lost"
    found = look(driver, claimed)
    assert (found.code, found.fault) == ("exited", Fault.AGENT)
    assert found.log_tail.endswith("going down\n")
    row = Sandbox.objects.get()
    assert (row.status, row.failure_code, row.reason) == (
        Status.FAILED,
        "exited",
        "the agent ended with code 3",
    )
    assert look(driver, claimed).code == "exited", "a second look says the same"


def counts_inside(driver) -> bool:
    """In gVisor the agent's processes, files and disk are not the host's: there the log alone tells."""
    return bool(driver.name == "docker")


def test_processes_are_refused_and_counted(driver, hostile):
    # In gVisor a process costs its sandbox several MiB, whatever it does.
    claimed = hostile(pids=16, memory_bytes=768 * MIB)
    assert attack(claimed, "forks", deadline=30) == "bad_status"
    found = look(driver, claimed)
    assert found.code == ""
    assert "Resource temporarily unavailable" in found.log_tail
    assert any(line.startswith("Processes: ") for line in limits_met(found.strain, found.log_tail))
    assert bool(found.strain.refused_processes) == counts_inside(driver)


def test_a_full_disk_is_seen(driver, hostile):
    claimed = hostile(tmp_bytes=4 * MIB)
    assert attack(claimed, "disk") == "bad_status"
    found = look(driver, claimed)
    assert found.code == ""
    assert "No space left on device" in found.log_tail
    assert any(line.startswith("Disk: ") for line in limits_met(found.strain, found.log_tail))
    assert found.strain.disk_full is (True if counts_inside(driver) else None)


def test_open_files_are_counted(driver, hostile):
    claimed = hostile(nofile=128)
    assert attack(claimed, "files") == "bad_status"
    found = look(driver, claimed)
    told = " ".join(limits_met(found.strain, found.log_tail, nofile=128))
    if counts_inside(driver):
        assert 120 <= found.strain.open_files <= 128
        assert "Open files: a process had" in told
    else:
        assert found.strain.open_files is None
        assert "Open files: its log says “Too many open files”." in told


def test_a_busy_agent_is_told_how_often_it_waited(driver, hostile):
    claimed = hostile(cpus=0.1, start_seconds=60)
    attack(claimed, "spin", deadline=20)
    found = look(driver, claimed)
    assert found.strain.throttled is not None
    assert found.strain.throttled > 0.5


def test_an_answer_beyond_its_limit_and_one_that_never_ends(driver, hostile):
    assert attack(hostile(answer_bytes=2 * MIB), "large") == "answer_too_large"
    pool.release_claim(claim_key="conversation-1", reason="next")
    claimed = hostile()
    assert attack(claimed, "hang", deadline=0.5) == "turn_timeout"
    assert look(driver, claimed).code == "", "it is still at it"


def test_what_the_platform_took_away_is_not_the_agents_fault(driver, hostile):
    claimed = hostile()
    driver.stop(driver.handle_of(claimed.id))
    found = look(driver, claimed)
    assert (found.code, found.fault) == ("gone", Fault.PLATFORM)
    again = hostile()
    pool.release(sandbox_id=again.id, reason="the agent was suspended")
    assert look(driver, again).fault == Fault.PLATFORM


def test_a_sandbox_that_stopped_listening_is_looked_at_before_it_is_removed(driver, hostile):
    """The pool sees only that nobody listens; whose fault that was is decided where it ran."""
    claimed = hostile()
    driver.stop(driver.handle_of(claimed.id))
    assert hostile().id != claimed.id
    row = Sandbox.objects.get(pk=claimed.id)
    assert (row.status, row.failure_code, row.fault) == (Status.FAILED, "gone", Fault.PLATFORM)
    assert row.removed_at is not None


def test_between_turns_the_reaper_says_the_same(driver, hostile):
    claimed = hostile()
    attack(claimed, "crash")
    until = time.monotonic() + 10
    while driver.state(driver.handle_of(claimed.id)).running:
        assert time.monotonic() < until
    reaper.reap_sandboxes(driver=driver)
    row = Sandbox.objects.get()
    assert (row.failure_code, row.fault) == ("exited", Fault.AGENT)
    assert "going down" in row.log_tail


def test_who_asks_gets_the_answer_of_a_worker(driver, hostile):
    claimed = hostile()
    attack(claimed, "crash")
    found = asyncio.run(examining.aexamine(sandbox_id=claimed.id, wait_seconds=5))
    assert found is not None
    assert found.code == "exited"


def test_who_gets_no_answer_waits_no_longer_than_it_said(own_stack, settings, monkeypatch):
    monkeypatch.setattr(dispatch, "enqueue_examination", lambda *_: None)
    assert asyncio.run(examining.aexamine(sandbox_id=Sandbox().pk, wait_seconds=0.1)) is None
