"""Start one sandbox to the point where it answers, or say whose fault it is that it does not."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import timedelta

import structlog
from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import StoreError
from agentstore.kit.locks import only_one
from sandbox import announcements, dispatch, doors, metrics, protocols
from sandbox.contract import agent_environment
from sandbox.driver import Driver, Launch, RunState
from sandbox.examining import meaning_of
from sandbox.failures import Fault, StartFailed, explain
from sandbox.hosts import is_here, this_host
from sandbox.models import Sandbox
from sandbox.places import stack_name
from sandbox.tokens import mint_token
from sandbox.transitions import record_change

log = structlog.get_logger(__name__)
Status = Sandbox.Status
_PING_SECONDS = 2.0
# How often it is looked at: at first often, for a fast start is there within a third of a second.
_FIRST_LOOK, _LAST_LOOK = 0.01, 0.1
_STATE_EVERY = 0.3
# How long whoever waits for a start may take to come for it before it counts as one that rests.
_CLAIM_GRACE = 30


def start_sandbox(*, sandbox_id: uuid.UUID, driver: Driver) -> bool:
    """Start the sandbox of a row in `starting`; False when there was nothing to do. Safe to repeat and to
    race.

    Every outcome is a status: `warm`, `claimed` where a claim was waiting, `failed` with fault, code and log.
    """
    with only_one(sandbox_id) as mine:
        row = Sandbox.objects.filter(pk=sandbox_id, status=Status.STARTING).first() if mine else None
        if row is None or not is_here(row.host):
            return False
        began = time.monotonic()
        try:
            _bring_up(row, driver)
        except StartFailed as failed:
            _finish_failed(row, failed)
        except StoreError as ours:
            _finish_failed(
                row, StartFailed(ours.message, fault=Fault.PLATFORM, code=ours.code, hint=ours.hint)
            )
        else:
            _finish_ready(row)
        log.info("sandbox.start", sandbox=str(sandbox_id), seconds=round(time.monotonic() - began, 3))
    announcements.announce(sandbox_id)
    return True


def refuse_start(*, sandbox_id: uuid.UUID, why: StoreError) -> None:
    """Fail a row in `starting`, since nothing here can run it."""
    row = Sandbox.objects.filter(pk=sandbox_id, status=Status.STARTING).first()
    if row is not None:
        _finish_failed(row, StartFailed(why.message, fault=Fault.PLATFORM, code=why.code, hint=why.hint))
        announcements.announce(sandbox_id)


def _bring_up(row: Sandbox, driver: Driver) -> None:
    spec = row.run_spec
    token = mint_token()
    Sandbox.objects.filter(pk=row.pk).update(
        token_hash=token.digest, driver=driver.name, host=this_host(), begun_at=now()
    )
    started = driver.start(
        Launch(
            sandbox_id=row.pk, spec=spec, stack=stack_name(), door_dir=doors.prepare(row.pk),
            gateway_dir=doors.prepare_gateway(row.pk), env=agent_environment(spec=spec, token=token.text),
        )
    )  # fmt: skip
    Sandbox.objects.filter(pk=row.pk).update(handle=started.handle, runtime=started.runtime)
    row.handle = started.handle
    asyncio.run(_until_ready(row, driver))


async def _until_ready(row: Sandbox, driver: Driver) -> None:
    """Returns when the agent answers. Raises StartFailed."""
    spec = row.run_spec
    speak = protocols.for_name(spec.protocol)
    door = doors.local_door(row.pk)
    began = looked = time.monotonic()
    pause = _FIRST_LOOK
    while (spent := time.monotonic() - began) < spec.start_seconds:
        if await speak.is_ready(door, min(_PING_SECONDS, spec.start_seconds - spent)):
            return
        if time.monotonic() - looked > _STATE_EVERY:
            looked = time.monotonic()
            state = await asyncio.to_thread(driver.state, row.handle)
            if not state.running:
                raise _ended(row.pk, state)
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LAST_LOOK)
    raise StartFailed(
        f"The agent did not answer within {spec.start_seconds:g} seconds.", fault=Fault.AGENT,
        code="start_timeout", log_tail=doors.read_log(row.pk),
    )  # fmt: skip


def _ended(sandbox_id: uuid.UUID, state: RunState) -> StartFailed:
    if not state.exists:
        return StartFailed(
            "The sandbox was removed while it started.", fault=Fault.PLATFORM, code="start_lost"
        )
    code, _ = meaning_of(sandbox_id, state)
    words = explain(code).words
    if code == "exited":
        words = f"The agent's command ended with code {state.exit_code} instead of serving."
    return StartFailed(words, fault=explain(code).fault, code=code, log_tail=doors.read_log(sandbox_id))


@transaction.atomic
def _finish_ready(row: Sandbox) -> None:
    locked = Sandbox.objects.select_for_update().get(pk=row.pk)
    if locked.status != Status.STARTING:
        # Released while it started: nobody wants it any more.
        transaction.on_commit(lambda: dispatch.enqueue_stop(row.pk, host=this_host()))
        return
    at = now()
    metrics.observe(
        "start_seconds", (at - (locked.begun_at or locked.created_at)).total_seconds(), driver=locked.driver,
        runtime=locked.runtime, warm=str(not locked.claim_key).lower(),
    )  # fmt: skip
    if locked.claim_key:
        record_change(
            locked, to=Status.CLAIMED, by="start", reason="ready, claimed beforehand", ready_at=at,
            claimed_at=at, last_used_at=at,
            busy_until=at + timedelta(seconds=locked.run_spec.turn_seconds + _CLAIM_GRACE),
        )  # fmt: skip
    else:
        record_change(locked, to=Status.WARM, by="start", reason="ready", ready_at=at)


@transaction.atomic
def _finish_failed(row: Sandbox, failed: StartFailed) -> None:
    locked = Sandbox.objects.select_for_update().get(pk=row.pk)
    if locked.status == Status.STARTING:
        record_change(
            locked, to=Status.FAILED, by="start", reason=failed.message, fault=failed.fault,
            failure_code=failed.code, log_tail=failed.log_tail,
        )  # fmt: skip
    transaction.on_commit(lambda: dispatch.enqueue_stop(row.pk, host=this_host()))


def is_under_way(sandbox_id: uuid.UUID) -> bool:
    """Whether somebody, in whatever process, is at that start now."""
    with only_one(sandbox_id) as free:
        return not free
