"""Hands work to the tasks of the `sandbox` queue, by name, so that services import no tasks.

A broker that is away loses nothing: rows say what is to be done, and `tend_pool` and `reap_sandboxes` find
them.
"""

from __future__ import annotations

import uuid
from typing import Any

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


def enqueue_start(sandbox_id: uuid.UUID) -> None:
    """Start the sandbox of a row in `starting`."""
    _send("sandbox.tasks.start_sandbox", str(sandbox_id))


def enqueue_stop(sandbox_id: uuid.UUID) -> None:
    """Remove what an ended row has left on its host."""
    _send("sandbox.tasks.stop_sandbox", str(sandbox_id))


def enqueue_tending() -> None:
    """Bring the pool to its targets now rather than at the next beat."""
    _send("sandbox.tasks.tend_pool")


def _send(name: str, *args: Any) -> None:
    try:
        current_app.signature(name, args=args).apply_async(retry=False)
    except OperationalError:
        log.warning("sandbox.broker_away", task=name)
