"""The sandbox queues: the only place from which an engine is spoken to while the store runs.

Every task takes ids, may run twice, and calls one service. A host's worker serves the queue that all share and its
own, with threads, since it waits more than it computes:
`celery -A agentstore worker -Q sandbox,sandbox@<SANDBOX_HOST> -P threads -c 8`.
"""

from __future__ import annotations

import uuid
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.db import OperationalError

from sandbox import examining, hosts, reaper, starting, tending
from sandbox.dispatch import queue_of
from sandbox.driver import DriverError, NoDriver
from sandbox.drivers import chosen_driver, cleaning_driver
from sandbox.host_rounds import HostRounds

_rounds: list[HostRounds] = []


@shared_task(ignore_result=True, autoretry_for=(OperationalError,), max_retries=5, retry_backoff=1)
def start_sandbox(sandbox_id: str) -> None:
    """Start the sandbox of a row in `starting`; again when the database went away in the middle."""
    try:
        driver = chosen_driver()
    except (DriverError, NoDriver) as none:
        starting.refuse_start(sandbox_id=uuid.UUID(sandbox_id), why=none)
        return
    starting.start_sandbox(sandbox_id=uuid.UUID(sandbox_id), driver=driver)


@shared_task(ignore_result=True, autoretry_for=(DriverError,), max_retries=3, retry_backoff=True)
def stop_sandbox(sandbox_id: str) -> None:
    """Remove what an ended sandbox has left."""
    reaper.stop_sandbox(sandbox_id=uuid.UUID(sandbox_id), driver=cleaning_driver())


@shared_task(ignore_result=True, expires=30)
def examine_sandbox(sandbox_id: str, ask: str) -> None:
    """Say what became of a sandbox to who asked; nobody waits long for it."""
    examining.answer_examination(sandbox_id=uuid.UUID(sandbox_id), ask=ask, driver=cleaning_driver())


@shared_task(ignore_result=True, expires=30)
def tend_pool() -> None:
    """Keep as many warm as the targets say."""
    tending.tend_pool()


@shared_task(ignore_result=True, expires=30)
def watch_hosts() -> None:
    """Notice the hosts that fell silent; runs where no engine is, since it may be the last one that did."""
    hosts.note_lost_hosts()


@worker_ready.connect
def begin_rounds(sender: Any, **kwargs: Any) -> None:
    """The worker that serves this host's own queue keeps the host."""
    if queue_of(hosts.this_host()) in sender.app.amqp.queues.consume_from:
        rounds = HostRounds()
        rounds.start()
        _rounds.append(rounds)


@worker_shutting_down.connect
def end_rounds(**kwargs: Any) -> None:
    """Nothing new is begun; the tasks that run are finished by Celery."""
    for rounds in _rounds:
        rounds.end()
