"""Sandbox hosts in network namespaces of one machine: each with processes, an address and a RUN_DIR of its own.

All share the machine's container engine, which they reach by its Unix socket.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DOOR_PORT = 7070


def need_namespaces() -> None:
    """Skips, with the reason, where none can be made."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if not shutil.which("ip") or not shutil.which("nsenter"):
        pytest.skip("network namespaces need iproute2 and util-linux (scripts/install.sh --tests)")
    name = f"as-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no network namespace can be made here: {made.stderr.strip()}")
    ip("netns", "del", name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Forwarder:
    """Lets a namespace reach a server of the machine that listens on loopback alone."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def listen(self, address: str, target: tuple[str, int]) -> int:
        """Pass on what connects to `address`; the port."""

        async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                there, back = await asyncio.open_connection(*target)
                await asyncio.gather(_copy(reader, back), _copy(there, writer))

        async def start() -> int:
            server = await asyncio.start_server(join, address, 0)
            return int(server.sockets[0].getsockname()[1])

        return asyncio.run_coroutine_threadsafe(start(), self._loop).result(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


class NamespaceHost:
    """One host: a sandbox worker, a gateway and a door server behind a veth pair."""

    def __init__(self, number: int, forwarder: Forwarder, environment: dict[str, str]) -> None:
        self.name = f"host-{number}"
        self._namespace = f"as-{os.getpid()}-{number}"
        self._cable = f"as{os.getpid() % 100000}-{number}"
        self._near, self._far = f"10.213.{number}.1", f"10.213.{number}.2"
        self.run_dir = Path(tempfile.mkdtemp(prefix=f"ash{number}-", dir="/tmp"))
        self.run_dir.chmod(0o755)
        self.log = self.run_dir / "log"
        self._forwarder, self._given = forwarder, environment
        self._processes: list[subprocess.Popen[bytes]] = []
        ip("netns", "add", self._namespace)
        self._enter("ip", "link", "set", "lo", "up")

    def plug_in(self) -> None:
        """A cable to the machine."""
        ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self._namespace)
        ip("addr", "add", f"{self._near}/30", "dev", self._cable)
        ip("link", "set", self._cable, "up")
        self._enter("ip", "addr", "add", f"{self._far}/30", "dev", "eth0")
        self._enter("ip", "link", "set", "eth0", "up")

    def start(self) -> None:
        """All three processes; they are ready when the host's row says so."""
        environment = {
            **os.environ, **self._given, "SANDBOX_HOST": self.name, "AGENTSTORE_RUN_DIR": str(self.run_dir),
            "SANDBOX_DOOR_ADDRESS": f"{self._far}:{DOOR_PORT}", "DJANGO_SETTINGS_MODULE": "agentstore.settings",
            "DATABASE_URL": self._seen_from_here(self._given["DATABASE_URL"]),
            "VALKEY_URL": self._seen_from_here(self._given["VALKEY_URL"]),
        }  # fmt: skip
        queues = f"sandbox,sandbox@{self.name}"
        for command in (
            ["-m", "celery", "-A", "agentstore", "worker", "-Q", queues, "-P", "threads", "-c", "4", "-n",
             f"{self.name}@test", "--without-gossip", "--without-mingle", "--loglevel", "INFO"],
            ["-m", "agentstore.gateway_server"],
            ["manage.py", "sandbox_doors"],
        ):  # fmt: skip
            with self.log.open("ab") as log:
                self._processes.append(
                    subprocess.Popen(
                        [*self._inside(), sys.executable, *command], env=environment, cwd=REPOSITORY,
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    )
                )  # fmt: skip

    def die(self) -> None:
        """As when the power goes: the cable first, so that nobody hears a word, then every process."""
        ip("link", "del", self._cable)
        self._kill()

    def close(self) -> None:
        self._kill()
        with suppress(subprocess.CalledProcessError):
            ip("link", "del", self._cable)
        ip("netns", "del", self._namespace)
        for mount in self.run_dir.glob("sandboxes/*"):
            subprocess.run(["umount", "-l", str(mount)], capture_output=True, check=False)
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def _kill(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        self._processes.clear()

    def _seen_from_here(self, url: str) -> str:
        parts = urlsplit(url)
        port = self._forwarder.listen(self._near, (parts.hostname or "127.0.0.1", parts.port or 0))
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}{self._near}:{port}"))

    def _inside(self) -> list[str]:
        # Not `ip netns exec`: that makes a mount namespace too, and the engine would not see a sandbox's tmpfs.
        return ["nsenter", f"--net=/run/netns/{self._namespace}", "--"]

    def _enter(self, *command: str) -> None:
        subprocess.run([*self._inside(), *command], check=True, capture_output=True)


@contextmanager
def two_hosts(environment: dict[str, str]) -> Iterator[tuple[NamespaceHost, NamespaceHost]]:
    """Both plugged in and started; nothing of them is left afterwards."""
    need_namespaces()
    forwarder = Forwarder()
    made: list[NamespaceHost] = []
    try:
        for number in (1, 2):
            made.append(NamespaceHost(number, forwarder, environment))
            made[-1].plug_in()
            made[-1].start()
        yield made[0], made[1]
    finally:
        for host in made:
            host.close()
        forwarder.close()
