"""Runs the hostile probe under a driver, for the conformance suite and the doctor. Needs no database row."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

from django.conf import settings

from agentstore.kit.ids import new_id
from sandbox import doors
from sandbox.contract import agent_environment
from sandbox.driver import Driver, DriverError, Launch, RunState
from sandbox.images import build_source, store
from sandbox.places import (
    GATEWAY_SOCKET_NAME,
    LOG_NAMES,
    SANDBOX_UID,
    door_dir,
    proof_stack,
    socket_path,
)
from sandbox.protocols import Done, InvokeRequest, for_name
from sandbox.spec import RunSpec, Trust
from sandbox.tokens import mint_token

PROBE = Path(__file__).with_name("probe")
_LOOK_SECONDS = 0.02
_STATE_SECONDS = 0.3
_SECRET = "AGENTSTORE_PROBE_SECRET"  # noqa: S105  (the name of a variable)


@dataclass
class Probe:
    """A running probe; `ask` makes it attack."""

    id: uuid.UUID
    handle: str
    runtime: str
    spec: RunSpec
    driver: Driver
    token: str

    def __post_init__(self) -> None:
        self._told = dict[str, dict[str, Any]]()

    @property
    def has_own_kernel(self) -> bool:
        """gVisor: what a system call does there is done to the sandbox, not to the host."""
        return self.runtime != "runc"

    def told(self, attack: str, **arguments: Any) -> dict[str, Any]:
        """`ask`, once for all who want to know."""
        if attack not in self._told:
            self._told[attack] = self.ask(attack, **arguments)
        return self._told[attack]

    def ask(self, attack: str, *, deadline: float = 20, **arguments: Any) -> dict[str, Any]:
        """What the attack saw. Raises AgentFailure when it did not come back."""
        prompt = json.dumps({"attack": attack, **arguments})
        return json.loads(asyncio.run(self._answer(prompt, deadline)))  # type: ignore[no-any-return]  # our own JSON

    async def answer(self, kind: str, deadline: float) -> str:
        """The text of an answer that is written to hurt. Raises AgentFailure, it is hoped."""
        return await self._answer(json.dumps({"attack": "answer", "kind": kind}), deadline)

    async def _answer(self, prompt: str, deadline: float) -> str:
        request = InvokeRequest(prompt=prompt, messages=(), conversation="probe", turn="probe")
        async for event in for_name("http").invoke(doors.local_door(self.id), request, deadline):
            if isinstance(event, Done):
                return event.text
        raise AssertionError("a protocol's last event is Done")

    def state(self) -> RunState:
        """The driver's word."""
        return self.driver.state(self.handle)

    def wait_for_end(self, seconds: float) -> RunState:
        """The state once it has ended, or as it is after `seconds`."""
        until = time.monotonic() + seconds
        while (state := self.state()).running and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        return state


class _Echo(BaseHTTPRequestHandler):
    """A gateway that says who called."""

    server: _UnixServer

    def do_GET(self) -> None:
        """The path, the token, and the sandbox whose socket it is."""
        told = {
            "path": self.path,
            "authorization": self.headers["Authorization"],
            "caller": self.server.caller,
        }
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """A Unix socket's peer has no address."""
        return "sandbox"

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class _UnixServer(ThreadingHTTPServer):
    address_family = UnixStreamServer.address_family

    def __init__(self, path: Path, caller: uuid.UUID) -> None:
        super().__init__(str(path), _Echo)  # type: ignore[arg-type]  # a path, for a Unix socket
        path.chmod(0o666)
        self.caller = caller.hex

    def server_bind(self) -> None:
        """Without the host's name, which a path does not have."""
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "gateway", 0


class Bench:
    """Starts probes under one driver at one level of trust, each with a gateway of its own behind its door."""

    def __init__(self, driver: Driver, trust: Trust) -> None:
        self.driver = driver
        self.trust = trust
        self.image = build_source(
            bundle_dir=PROBE, runtime="python", command=["python3", "main.py"], driver=driver
        )
        # In a file that everybody on the host may read, and in a process's environment.
        self.secret = secrets.token_hex(16)
        self._closing = contextlib.ExitStack()
        self._shared: Probe | None = None

    def __enter__(self) -> Bench:
        Path(settings.RUN_DIR).mkdir(parents=True, exist_ok=True)
        directory = self._closing.enter_context(tempfile.TemporaryDirectory(dir=settings.RUN_DIR, prefix="g"))
        self.gateways = Path(directory)
        place = self._closing.enter_context(tempfile.TemporaryDirectory(dir=settings.RUN_DIR, prefix="s"))
        self.secret_dir = Path(place)
        self.secret_dir.chmod(0o755)
        (self.secret_dir / "secret").write_text(self.secret)
        (self.secret_dir / "secret").chmod(0o644)
        self._closing.enter_context(self._secretive_process())
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.close()

    @contextmanager
    def _secretive_process(self) -> Iterator[None]:
        """One of the sandbox's own user, where we may start such, with the secret in its environment."""
        user = {"user": SANDBOX_UID, "group": SANDBOX_UID} if os.geteuid() == 0 else {}
        command = [shutil.which("cat") or "cat"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, env={_SECRET: self.secret}, **user):  # type: ignore[call-overload]  # noqa: S603
            yield  # it ends with its input

    def gateway_of(self, probe: Probe) -> Path:
        """Where the bench's own gateway listens for a sandbox."""
        return self.gateways / probe.id.hex / GATEWAY_SOCKET_NAME

    def places_of(self, probe: Probe) -> list[Path]:
        """The files of a sandbox on the host."""
        door = door_dir(probe.id)
        return [socket_path(probe.id), self.gateway_of(probe), *(door / name for name in LOG_NAMES)]

    def shared(self) -> Probe:
        """A probe for all checks that leave it well; a new one when it is not. Gone with the bench."""
        if self._shared is None or not self._is_well(self._shared):
            self._shared = self._closing.enter_context(self.probe())
        return self._shared

    def _is_well(self, probe: Probe) -> bool:
        return asyncio.run(for_name("http").is_ready(doors.local_door(probe.id), 2))

    def hostile_image(
        self,
        members: Iterable[tuple[tarfile.TarInfo, bytes]] = (),
        *,
        env: Sequence[str] = (),
        workdir: str = "/app",
    ) -> str:
        """The id of the probe's image with a layer on it that no upload could have, and other settings.

        It is put into the store as it is, past all inspection: what the driver itself keeps is to be seen.
        """
        sound = store.get_image(self.image.image_id)
        with tempfile.TemporaryFile() as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for member, content in members:
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
            file.seek(0)
            layer = store.put_layer(file)
        config = store.image_config(
            layers=[*sound.layers, layer.diff_id], command=sound.command, env=[*sound.env, *env],
            workdir=workdir, labels=sound.labels,
        )  # fmt: skip
        return store.put_image(config).image_id

    def file_of_the_image(self, path: str) -> bytes:
        """The content of a file of the probe's image."""
        for diff_id in reversed(store.get_image(self.image.image_id).layers):
            with store.open_layer(diff_id) as stream, tarfile.open(fileobj=stream) as tar:
                for member in tar:
                    if member.name.removeprefix("./") == path and member.isreg():
                        found = tar.extractfile(member)
                        return found.read() if found else b""
        raise FileNotFoundError(path)

    @contextmanager
    def probe(self, **limits: Any) -> Iterator[Probe]:
        """A probe that answers, under a spec with these limits; gone afterwards. Raises DriverError."""
        given = {"image_id": self.image.image_id, "trust": self.trust, "cpus": 1.0, **limits}
        spec = RunSpec(**given)
        sandbox_id, token = new_id(), mint_token()
        launch = Launch(
            sandbox_id=sandbox_id, spec=spec, stack=proof_stack(),
            door_dir=doors.prepare(sandbox_id),
            # Not where the store's own gateway listens: this one must answer where there is no store.
            gateway_dir=doors.prepare_gateway(sandbox_id, root=self.gateways),
            env=agent_environment(spec=spec, token=token.text),
        )  # fmt: skip
        handle = self.driver.handle_of(sandbox_id)
        server = _UnixServer(launch.gateway_dir / GATEWAY_SOCKET_NAME, sandbox_id)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            started = self.driver.start(launch)
            handle = started.handle
            probe = Probe(sandbox_id, handle, started.runtime, spec, self.driver, token.text)
            self._await_ready(probe)
            yield probe
        finally:
            self.driver.stop(handle)
            doors.remove(sandbox_id)
            server.shutdown()
            server.server_close()

    def _await_ready(self, probe: Probe) -> None:
        began = looked = time.monotonic()
        while time.monotonic() < began + probe.spec.start_seconds:
            if asyncio.run(for_name("http").is_ready(doors.local_door(probe.id), 2)):
                return
            if time.monotonic() > looked + _STATE_SECONDS:
                if not probe.state().running:
                    break
                looked = time.monotonic()
            time.sleep(_LOOK_SECONDS)
        raise DriverError(f"The probe did not start: {doors.read_log(probe.id)[-200:]}")
