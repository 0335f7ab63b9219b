"""Hands work to the tasks of the `sandbox` queue, once the row that says what to do is committed.

A broker that is away loses nothing: `tend_pool` and `reap_sandboxes` find what the rows say. The tasks are
imported when they are needed, since they themselves call the services that hand them work.
"""

from __future__ import annotations

import uuid
from typing import Any

import structlog
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


def enqueue_start(sandbox_id: uuid.UUID) -> None:
    """Start the sandbox of a row in `starting`."""
    from sandbox.tasks import start_sandbox

    _send(start_sandbox, str(sandbox_id))


def enqueue_stop(sandbox_id: uuid.UUID) -> None:
    """Remove what an ended row has left on its host."""
    from sandbox.tasks import stop_sandbox

    _send(stop_sandbox, str(sandbox_id))


def enqueue_tending() -> None:
    """Bring the pool to its targets now rather than at the next beat."""
    from sandbox.tasks import tend_pool

    _send(tend_pool)


def _send(task: Any, *args: Any) -> None:
    try:
        task.apply_async(args=args, retry=False)
    except OperationalError:
        log.warning("sandbox.broker_away", task=task.name)
