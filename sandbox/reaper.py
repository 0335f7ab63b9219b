"""Bring what runs on this host and what the rows say of it together again, after whatever happened."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from agentstore.kit.clock import now
from sandbox import announcements, dispatch, doors, starting
from sandbox.driver import Driver, DriverError, Found
from sandbox.examining import meaning_of, settle_failure
from sandbox.failures import Fault, explain
from sandbox.hosts import is_here, this_host
from sandbox.models import Sandbox
from sandbox.places import proof_stack, stack_name
from sandbox.transitions import change_status

log = structlog.get_logger(__name__)
Status = Sandbox.Status
# A container may be there a moment before its row says so, and after.
_GRACE = timedelta(seconds=10)
_PROOF_TIME = timedelta(minutes=10)
# A start that nobody has begun may stand in a long queue; one that was handed out again gets some time.
_QUEUED = timedelta(seconds=60)
_AGAIN_SECONDS = 10.0
_handed_out: dict[uuid.UUID, float] = {}


def stop_sandbox(*, sandbox_id: uuid.UUID, driver: Driver) -> None:
    """Remove all that an ended sandbox has left: its container, its directory. Safe to repeat."""
    row = Sandbox.objects.get(pk=sandbox_id)
    if row.status in Sandbox.LIVE:
        return
    if not is_here(row.host):
        dispatch.enqueue_stop(row.pk, host=row.host)
        return
    if not row.log_tail and row.status == Status.FAILED:
        Sandbox.objects.filter(pk=row.pk).update(log_tail=doors.read_log(row.pk))
    settle_failure(row, driver)
    driver.stop(row.handle or driver.handle_of(row.pk))
    doors.remove(row.pk)
    Sandbox.objects.filter(pk=row.pk, removed_at=None).update(removed_at=now())
    announcements.announce_place()


def reap_sandboxes(*, driver: Driver) -> dict[str, int]:
    """One round: rows without a container, containers without a row, starts that were lost, claims left
    idle.
    """
    running = {found.sandbox_id: found for found in driver.list_sandboxes(stack_name())}
    done = {
        "lost": _end_lost_starts(),
        "again": resume_starts(),
        "died": _bury_dead(driver, running),
    }
    # After those that ended unattended are told by how old their last sign of life is.
    _keep_alive(running)
    done |= {
        "idle": _end_idle(),
        "removed": _remove_ended(driver),
        "strays": _remove_strays(driver, running),
    }
    if any(done.values()):
        log.info("sandbox.reaped", **done)
    return done


def _end_lost_starts() -> int:
    """Starts that were given up: their task never came, or died with its worker again and again."""
    ended = 0
    for row in _mine().filter(status=Status.STARTING, created_at__lt=now() - _GRACE):
        if now() < row.start_deadline:
            continue
        with transaction.atomic():
            if change_status(
                sandbox_id=row.pk, to=Status.FAILED, from_=(Status.STARTING,), by="reaper",
                reason="its start was never finished", fault=Fault.PLATFORM, failure_code="start_lost",
            ):  # fmt: skip
                ended += 1
                announcements.announce(row.pk)
    return ended


def resume_starts(*, at_once: bool = False) -> int:
    """Hand those starts out again that nobody is at: their worker was killed, or the broker lost them. Starts are
    safe to repeat.

    One that was never begun may still stand in the queue and is left there for a minute, unless `at_once`.
    """
    resumed = 0
    for row in _mine().filter(status=Status.STARTING):
        waited = time.monotonic() - _handed_out.get(row.pk, 0)
        queued = row.begun_at is None and (
            now() - row.created_at < _QUEUED or waited < _QUEUED.total_seconds()
        )
        if (queued and not at_once) or waited < _AGAIN_SECONDS or starting.is_under_way(row.pk):
            continue
        _handed_out[row.pk] = time.monotonic()
        dispatch.enqueue_start(row.pk, host=row.host)
        resumed += 1
    for known in set(_handed_out) - set(_mine().filter(status=Status.STARTING).values_list("pk", flat=True)):
        del _handed_out[known]
    return resumed


def _mine() -> QuerySet[Sandbox]:
    return Sandbox.objects.filter(host__in=("", this_host()))


def _bury_dead(driver: Driver, running: dict[uuid.UUID, Found]) -> int:
    """Rows that say warm or claimed while nothing of theirs runs."""
    ended = 0
    for row in _mine().filter(status__in=(Status.WARM, Status.CLAIMED)):
        found = running.get(row.pk)
        if found is not None and found.running:
            continue
        state = driver.state(row.handle or driver.handle_of(row.pk))
        if state.running:
            continue
        code, reason = meaning_of(row.pk, state)
        ended += change_status(
            sandbox_id=row.pk, to=Status.FAILED, from_=(Status.WARM, Status.CLAIMED), by="reaper",
            reason=reason, fault=explain(code).fault, failure_code=code, log_tail=doors.read_log(row.pk),
        )  # fmt: skip
    return ended


def _keep_alive(running: dict[uuid.UUID, Found]) -> None:
    """What nobody wants any more is left out: should it not be removed, it ends by itself."""
    wanted = _mine().filter(pk__in=running, status__in=Sandbox.LIVE)
    for sandbox_id in wanted.values_list("pk", flat=True):
        doors.keep_alive(sandbox_id)


def _end_idle() -> int:
    """Claims that nobody has used for SANDBOX_IDLE_SECONDS; the next turn gets a fresh one."""
    before = now() - timedelta(seconds=settings.SANDBOX_IDLE_SECONDS)
    ended = 0
    for row in _mine().filter(status=Status.CLAIMED, last_used_at__lt=before):
        ended += change_status(
            sandbox_id=row.pk, to=Status.STOPPED, from_=(Status.CLAIMED,), by="reaper",
            reason="nobody used it for a while",
        )  # fmt: skip
    return ended


def _remove_ended(driver: Driver) -> int:
    removed = 0
    ended = _mine().filter(status__in=(Status.STOPPED, Status.FAILED), removed_at=None)
    for row in ended.order_by("ended_at")[:200]:
        try:
            stop_sandbox(sandbox_id=row.pk, driver=driver)
        except DriverError as busy:
            log.warning("sandbox.not_removed", sandbox=str(row.pk), error=busy.message)
        else:
            removed += 1
    return removed


def _remove_strays(driver: Driver, running: dict[uuid.UUID, Found]) -> int:
    """Containers and directories of this stack whose row has ended or does not exist."""
    known = set(running) | set(doors.left_behind())
    live = set(Sandbox.objects.filter(pk__in=known, status__in=Sandbox.LIVE).values_list("pk", flat=True))
    hosts = dict(Sandbox.objects.filter(pk__in=known).values_list("pk", "host"))
    # Two hosts may share an engine; what belongs to the other is the other's to remove.
    ours = {pk for pk, host in hosts.items() if is_here(host)}
    _remove_old_proofs(driver)
    strays = [
        sandbox_id for sandbox_id in running if sandbox_id not in live and is_here(hosts.get(sandbox_id, ""))
    ]
    for sandbox_id in strays:
        driver.stop(running[sandbox_id].handle)
        doors.remove(sandbox_id)
    # Directories of other stacks may lie beside ours: only those of our own ended rows are removed.
    for sandbox_id in ours - live - set(running):
        doors.remove(sandbox_id)
    return len(strays)


def _remove_old_proofs(driver: Driver) -> None:
    """Probes that outlived the process that made them. Their id says when that was."""
    oldest = (now() - _PROOF_TIME).timestamp() * 1000
    for found in driver.list_sandboxes(proof_stack()):
        if found.sandbox_id.int >> 80 < oldest:
            driver.stop(found.handle)
            doors.remove(found.sandbox_id)


def remove_everything(*, driver: Driver, by: str) -> int:
    """End all sandboxes of this stack on this host, for a shutdown. The number of containers that were removed."""
    for row in _mine().filter(status__in=Sandbox.LIVE):
        change_status(
            sandbox_id=row.pk, to=Status.STOPPED, from_=Sandbox.LIVE, by=by, reason="the stack is stopped"
        )
    found = [*driver.list_sandboxes(stack_name()), *driver.list_sandboxes(proof_stack())]
    for sandbox in found:
        driver.stop(sandbox.handle)
        doors.remove(sandbox.sandbox_id)
    _mine().filter(removed_at=None).exclude(status__in=Sandbox.LIVE).update(removed_at=now())
    return len(found)
