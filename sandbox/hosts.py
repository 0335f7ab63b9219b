"""The machines that run sandboxes: each writes its own row; the others read who may take a start.

A host is its RUN_DIR: the processes that share one directory of sockets are on one host and have the same
SANDBOX_HOST.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import psutil
import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from agentstore.kit.clock import now
from agentstore.kit.errors import NotFound
from sandbox import announcements
from sandbox.driver import Driver, Finding, NoDriver
from sandbox.failures import Fault
from sandbox.models import Host, HostStatusChange, Sandbox
from sandbox.spec import MIB, Trust
from sandbox.transitions import change_status

log = structlog.get_logger(__name__)
Status = Host.Status


def this_host() -> str:
    """SANDBOX_HOST, else the machine's name."""
    return str(settings.SANDBOX_HOST or socket.gethostname())


def is_here(host: str) -> bool:
    """Whether a sandbox's host is the one that this process runs on. A row of no host is ours to look after."""
    return host in ("", this_host())


def reachable() -> Q:
    """The hosts whose sandboxes this process can speak to: its own, and those that have a door server."""
    return Q(name=this_host()) | ~Q(address="")


def placeable(trust: Trust | str) -> QuerySet[Host]:
    """The hosts that may take a start of this trust: up, heard of lately, proven, with the runtime."""
    return Host.objects.filter(
        reachable(), status=Status.UP, refusal="", heartbeat_at__gt=now() - lost_after(),
        runtimes__has_key=str(trust),
    ).exclude(proven_at=None)  # fmt: skip


def lost_after() -> timedelta:
    """How long a host may be silent."""
    return timedelta(seconds=settings.SANDBOX_HOST_LOST_SECONDS)


def memory_ceiling() -> int:
    """Bytes that this host sets aside for sandboxes: SANDBOX_MEMORY_MB, else all that the machine has."""
    return int(settings.SANDBOX_MEMORY_MB) * MIB or psutil.virtual_memory().total


@transaction.atomic
def beat(*, at: datetime | None = None) -> Host:
    """This host is alive and has so many places. The first beat makes its row; one after a loss brings it back.

    Starts nothing yet: that takes a proof (`record_proof`).
    """
    fields = {
        "address": settings.SANDBOX_DOOR_ADDRESS, "places": settings.SANDBOX_MAX,
        "memory_bytes": memory_ceiling(), "heartbeat_at": at or now(),
    }  # fmt: skip
    name = this_host()
    if Host.objects.filter(name=name).exclude(status=Status.LOST).update(**fields):
        return Host.objects.get(name=name)
    host, is_new = Host.objects.select_for_update().get_or_create(name=name, defaults=fields)
    if is_new:
        note_status(host, to=Status.UP, by=name, reason="first seen")
    elif host.status == Status.LOST:
        back = Status.DRAINING if host.draining else Status.UP
        Host.objects.filter(name=name).update(**fields)
        note_status(host, to=back, by=name, reason="it is back")
    host.refresh_from_db()
    return host


def record_proof(*, driver: Driver, findings: Sequence[Finding], reason: str = "") -> Host:
    """What was found here, and what this host can run by it. A broken property stops new sandboxes.

    `reason` says why this driver. A runtime that is not installed speaks against its own starts only.
    """
    runtimes = {}
    for trust in Trust:
        try:
            runtimes[str(trust)] = driver.runtime_for(trust)
        except NoDriver:
            continue
    broken = [f for f in findings if not f.kept and not f.name.startswith("runtime_")]
    refusal = "; ".join(f"{f.name}: {f.detail}" for f in broken)
    return _write_proof(
        driver=driver.name, driver_reason=reason[:500], runtimes=runtimes, refusal=refusal[:500],
        findings=[{"name": f.name, "kept": f.kept, "detail": f.detail, "fix": f.fix} for f in findings],
    )  # fmt: skip


def record_refusal(*, why: str) -> Host:
    """Nothing can be started here, and why. What runs goes on."""
    return _write_proof(refusal=why[:500])


def _write_proof(*, refusal: str, **fields: Any) -> Host:
    name = this_host()
    Host.objects.filter(name=name).update(refusal=refusal, proven_at=now(), **fields)
    if refusal:
        log.error("sandbox.host_refuses", host=name, why=refusal)
    else:
        log.info("sandbox.host_proven", host=name, driver=fields.get("driver"))
        announcements.announce_place()
    return Host.objects.get(name=name)


@transaction.atomic
def drain_host(*, name: str, by: str, reason: str = "") -> Host:
    """Take no more starts: warm and resting sandboxes go, running turns finish, then theirs go too.

    Raises NotFound.
    """
    host = _lock(name)
    if not host.draining:
        Host.objects.filter(name=name).update(draining=True)
        if host.status == Status.UP:
            note_status(host, to=Status.DRAINING, by=by, reason=reason or "drained")
    host.refresh_from_db()
    return host


@transaction.atomic
def undrain_host(*, name: str, by: str, reason: str = "") -> Host:
    """Take starts again. Raises NotFound."""
    host = _lock(name)
    if host.draining:
        Host.objects.filter(name=name).update(draining=False)
        if host.status == Status.DRAINING:
            note_status(host, to=Status.UP, by=by, reason=reason or "in service again")
            transaction.on_commit(announcements.announce_place)
    host.refresh_from_db()
    return host


def note_lost_hosts() -> int:
    """The hosts that were not heard of for SANDBOX_HOST_LOST_SECONDS are lost, and their sandboxes with them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() - pg_postmaster_start_time()")
        if cursor.fetchone()[0] < lost_after():
            return 0  # the database itself was away: nobody could say that it was there
    silent = Host.objects.filter(heartbeat_at__lt=now() - lost_after()).exclude(status=Status.LOST)
    lost = 0
    for name in silent.values_list("name", flat=True):
        with transaction.atomic():
            host = silent.select_for_update().filter(name=name).first()
            if host is None:
                continue
            note_status(host, to=Status.LOST, by="watch", reason=f"silent since {host.heartbeat_at:%H:%M:%S}")
        lost += 1
    for name in Host.objects.filter(status=Status.LOST).values_list("name", flat=True):
        _fail_sandboxes(name)
    return lost


def _fail_sandboxes(host: str) -> None:
    for pk in Sandbox.objects.filter(host=host, status__in=Sandbox.LIVE).values_list("pk", flat=True):
        if change_status(
            sandbox_id=pk, to=Sandbox.Status.FAILED, from_=Sandbox.LIVE, by="watch",
            reason="its host went away", fault=Fault.PLATFORM, failure_code="host_lost",
        ):  # fmt: skip
            announcements.announce(pk)


def is_usable(sandbox_host: str) -> bool:
    """Whether a conversation may go on in a sandbox of that host: not when it is draining or lost."""
    return not Host.objects.filter(name=sandbox_host).exclude(status=Status.UP).exists()


def address_of(host: str) -> str:
    """`host:port` of the host's door server, empty when it has none."""
    return Host.objects.filter(name=host).values_list("address", flat=True).first() or ""


def note_status(host: Host, *, to: str, by: str, reason: str) -> None:
    """Write a host's change of status and who brought it about."""
    Host.objects.filter(pk=host.pk).update(status=to, since=now())
    HostStatusChange.objects.create(host=host, to_status=to, by=by[:60], reason=reason[:500])
    log.info("sandbox.host", host=host.name, before=host.status, after=to, by=by, reason=reason)


def live_sandboxes(host: str) -> list[uuid.UUID]:
    """The sandboxes that run, or are about to, on a host."""
    return list(Sandbox.objects.filter(host=host, status__in=Sandbox.LIVE).values_list("pk", flat=True))


def _lock(name: str) -> Host:
    host = Host.objects.select_for_update().filter(name=name).first()
    if host is None:
        raise NotFound(f"There is no sandbox host {name!r:.100}.", hint="`manage.py sandbox_host list`.")
    return host
