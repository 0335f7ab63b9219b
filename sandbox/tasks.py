"""The `sandbox` queue: the only place from which the engine is spoken to while the store runs.

Every task takes ids, may run twice, and calls one service. Run it with threads, since it waits more than it
computes: `celery -A agentstore worker -Q sandbox -P threads -c 8`.
"""

from __future__ import annotations

import uuid

from celery import shared_task
from django.db import OperationalError

from sandbox import reaper, starting, tending
from sandbox.driver import DriverError, NoDriver
from sandbox.drivers import chosen_driver, cleaning_driver
from sandbox.models import Sandbox


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
def tend_pool() -> None:
    """Keep as many warm as the targets say."""
    tending.tend_pool()


@shared_task(ignore_result=True, expires=60)
def reap_sandboxes() -> None:
    """Bring what runs and what the rows say together again."""
    if Sandbox.objects.filter(removed_at=None).exists():
        reaper.reap_sandboxes(driver=cleaning_driver())
