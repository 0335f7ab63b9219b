"""What a test sees and does beside the driver's contract: looking into a sandbox's settings, killing it."""

from __future__ import annotations

import json
import os
import signal
import uuid
from pathlib import Path

from django.conf import settings

from sandbox.driver import Driver
from sandbox.engine.client import engine_client


def directory_of(sandbox_id: uuid.UUID) -> Path:
    """The directory of an engine-less sandbox."""
    return Path(settings.RUN_DIR) / "runsc" / sandbox_id.hex


def environment_of(driver: Driver, sandbox_id: uuid.UUID) -> dict[str, str]:
    """The variables that the sandbox was started with."""
    if driver.name == "docker":
        told = engine_client().api.inspect_container(driver.handle_of(sandbox_id))["Config"]["Env"]
    else:
        told = json.loads((directory_of(sandbox_id) / "config.json").read_text())["process"]["env"]
    return dict(line.split("=", 1) for line in told)


def kill(driver: Driver, sandbox_id: uuid.UUID) -> None:
    """As an administrator or the kernel might."""
    if driver.name == "docker":
        engine_client().api.kill(driver.handle_of(sandbox_id))
    else:
        os.kill(int((directory_of(sandbox_id) / "started").read_text()), signal.SIGKILL)
