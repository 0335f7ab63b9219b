"""Starts sandboxes of small programs by a driver alone, without a row of the pool."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import transaction

from agentstore.kit.ids import new_id
from sandbox import doors
from sandbox.contract import agent_environment
from sandbox.driver import Driver, Launch
from sandbox.images import build_source
from sandbox.places import proof_stack
from sandbox.spec import RunSpec, Trust

Begun = tuple[uuid.UUID, str]


class Launcher:
    """By one driver, at one level of trust."""

    def __init__(self, driver: Driver, trust: Trust, directory: Path) -> None:
        self._driver, self._trust, self._directory = driver, trust, directory

    @contextmanager
    def launching(self) -> Iterator[Callable[..., Begun]]:
        """A function from a Python program (and limits) to the id and the handle of a sandbox that runs it.

        All are gone afterwards.
        """
        begun: list[Begun] = []

        def launch(source: str, **limits: Any) -> Begun:
            image_id = self._image_of(source)
            spec = RunSpec(image_id=image_id, trust=self._trust, **{"cpus": 1.0, **limits})
            sandbox_id = new_id()
            started = self._driver.start(
                Launch(
                    sandbox_id=sandbox_id, spec=spec, stack=proof_stack(), door_dir=doors.prepare(sandbox_id),
                    gateway_dir=doors.prepare_gateway(sandbox_id),
                    env=agent_environment(spec=spec, token="run_x"),
                )
            )  # fmt: skip
            begun.append((sandbox_id, started.handle))
            return sandbox_id, started.handle

        try:
            yield launch
        finally:
            for sandbox_id, handle in begun:
                self._driver.stop(handle)
                doors.remove(sandbox_id)

    def _image_of(self, source: str) -> str:
        with tempfile.TemporaryDirectory(dir=self._directory) as bundle, transaction.atomic():
            (Path(bundle) / "main.py").write_text(source)
            image = build_source(bundle_dir=Path(bundle), runtime="python", command="python3 main.py")
            # A file's fixture may outlive the test that it is made in: no row of it stays.
            transaction.set_rollback(True)
        return image.image_id
