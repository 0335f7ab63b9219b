"""Hands work to the tasks of the sandbox queues, once the row that says what to do is committed.

What happens to one sandbox goes to its own host's queue. A broker that is away loses nothing: `tend_pool` and the
hosts' own rounds find what the rows say. The tasks are imported when they are needed, since they themselves call the
services that hand them work.
"""

from __future__ import annotations

import threading
import uuid
from typing import Any

import structlog
from django.conf import settings
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)
SHARED_QUEUE = "sandbox"
# Claims that come within so many seconds are one reason to look after the pool.
_SOON = 0.2
_soon_lock = threading.Lock()
_soon: list[threading.Timer] = []


def queue_of(host: str) -> str:
    """The queue that only this host's sandbox worker serves; the shared one for a row that names none."""
    return f"{SHARED_QUEUE}@{host}" if host else SHARED_QUEUE


def enqueue_start(sandbox_id: uuid.UUID, *, host: str) -> None:
    """Start the sandbox of a row in `starting`, on its host."""
    from sandbox.tasks import start_sandbox

    _send(start_sandbox, str(sandbox_id), queue=queue_of(host))


def enqueue_stop(sandbox_id: uuid.UUID, *, host: str | None = None) -> None:
    """Remove what an ended row has left on its host, which is looked up when it is not given."""
    from sandbox.models import Sandbox
    from sandbox.tasks import stop_sandbox

    if host is None:
        host = Sandbox.objects.filter(pk=sandbox_id).values_list("host", flat=True).first() or ""
    _send(stop_sandbox, str(sandbox_id), queue=queue_of(host))


def enqueue_examination(sandbox_id: uuid.UUID, ask: str) -> None:
    """Look at a sandbox that something went wrong with, and answer under this name."""
    from sandbox.models import Sandbox
    from sandbox.tasks import examine_sandbox

    host = Sandbox.objects.filter(pk=sandbox_id).values_list("host", flat=True).first() or ""
    _send(examine_sandbox, str(sandbox_id), ask, queue=queue_of(host))


def enqueue_tending() -> None:
    """Bring the pool to its targets in a moment rather than at the next beat.

    It is sent by a thread of its own: whoever claims a sandbox does not wait for the broker.
    """
    if settings.CELERY_TASK_ALWAYS_EAGER:
        _send_tending()
        return
    with _soon_lock:
        if _soon:
            return
        timer = threading.Timer(_SOON, _send_tending)
        timer.daemon = True
        _soon.append(timer)
        timer.start()


def _send_tending() -> None:
    from sandbox.tasks import tend_pool

    with _soon_lock:
        _soon.clear()
    _send(tend_pool, queue=SHARED_QUEUE)


def _send(task: Any, *args: Any, queue: str) -> None:
    try:
        task.apply_async(args=args, retry=False, queue=queue)
    except OperationalError:
        log.warning("sandbox.broker_away", task=task.name)
