"""The one connection to the container engine, and its errors as ours."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from sandbox.driver import DriverError

_SECONDS = 60


@functools.cache
def engine_client() -> docker.DockerClient:
    """A client of the engine that DOCKER_HOST names, or of the local one. Raises DriverError when none
    answers.
    """
    try:
        return docker.from_env(timeout=_SECONDS)
    except (DockerException, RequestException) as away:
        raise DriverError(
            "The container engine does not answer.", hint="Start it, or run `manage.py sandbox_doctor`."
        ) from away


def wanted_arguments() -> set[str]:
    """What gVisor must be called with (daemon.json, which scripts/setup_engine.sh merges into the engine's own)."""
    runtimes = json.loads(Path(__file__).with_name("daemon.json").read_text())["runtimes"]
    return set(runtimes["runsc"]["runtimeArgs"])


@contextlib.contextmanager
def engine_errors() -> Iterator[None]:
    """Turns whatever the engine's client raises into DriverError."""
    try:
        yield
    except (DockerException, RequestException) as broken:
        detail = getattr(broken, "explanation", None) or str(broken)
        raise DriverError(f"The container engine refused: {detail!s:.300}") from broken
