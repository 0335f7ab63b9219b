"""The one connection to the container engine, and its errors as ours."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

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


@contextlib.contextmanager
def engine_errors() -> Iterator[None]:
    """Turns whatever the engine's client raises into DriverError."""
    try:
        yield
    except (DockerException, RequestException) as broken:
        detail = getattr(broken, "explanation", None) or str(broken)
        raise DriverError(f"The container engine refused: {detail!s:.300}") from broken
