"""The processes of docs/architecture.md as one table: how each starts and shows that it is ready."""

from __future__ import annotations

import http.client
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

HTTP_SECONDS = 5
PING_SECONDS = 1.0


@dataclass(frozen=True)
class Program:
    """One process: its command (after the interpreter) and the question that says whether it is ready."""

    name: str
    arguments: tuple[str, ...]
    is_ready: Callable[[], bool]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Addresses:
    """Where this stack's processes meet; everything else they read from the environment."""

    run_dir: Path
    state_dir: Path
    web_port: int
    standin_port: int
    valkey_url: str
    key_prefix: str
    host: str = field(default_factory=socket.gethostname)
    threads: Mapping[str, int] = field(default_factory=lambda: {"worker": 4, "bulk": 2, "sandbox": 4})

    @property
    def gateway_socket(self) -> Path:
        """Where the gateway's process answers us; each sandbox has a socket of its own beside it."""
        return self.run_dir / "gateway" / "gateway.sock"


def programs(at: Addresses) -> list[Program]:
    """All processes, in the order in which they start."""
    uvicorn = ("-m", "uvicorn", "--lifespan", "off", "--no-access-log", "--timeout-graceful-shutdown", "3")
    return [
        Program(
            "standin",
            ("-m", "billing.stripe_standin"),
            lambda: http_status(socket_to(("127.0.0.1", at.standin_port)), "/") is not None,
        ),
        Program(
            "web",
            (*uvicorn, "--host", "127.0.0.1", "--port", str(at.web_port), "agentstore.asgi:application"),
            lambda: http_status(socket_to(("127.0.0.1", at.web_port)), "/readyz") == 200,
        ),
        Program(
            "gateway",
            ("-m", "agentstore.gateway_server"),
            # Nothing lies at the root, and saying so takes its whole table of addresses.
            lambda: http_status(socket_to(str(at.gateway_socket)), "/") == 404,
        ),
        _worker(at, "worker", "default", ("-B", "-s", str(at.state_dir / "beat"))),
        _worker(at, "bulk", "bulk"),
        _worker(at, "index", "index"),
        _worker(at, "sandbox", f"sandbox,sandbox@{at.host}"),
    ]


def _worker(at: Addresses, name: str, queue: str, more: tuple[str, ...] = ()) -> Program:
    return Program(
        name,
        (
            "-m", "celery", "-A", "agentstore", "worker", "-Q", queue, "-n", f"{name}@stack",
            "-P", "threads", "-c", str(at.threads.get(name, 1)), "--loglevel", "INFO",
            "--without-gossip", "--without-mingle", *more,
        ),
        lambda: worker_answers(at, f"{name}@stack"),
    )  # fmt: skip


def socket_to(address: str | tuple[str, int]) -> socket.socket | None:
    """A connection to a Unix or TCP address, or None when nobody listens."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    connection = socket.socket(family)
    connection.settimeout(HTTP_SECONDS)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        return None
    return connection


def http_status(connection: socket.socket | None, path: str) -> int | None:
    """The status that a server gives for GET path, or None when it gives none."""
    if connection is None:
        return None
    exchange = http.client.HTTPConnection("localhost", timeout=HTTP_SECONDS)
    exchange.sock = connection
    try:
        exchange.request("GET", path)
        return exchange.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        exchange.close()


def worker_answers(at: Addresses, node: str) -> bool:
    """Whether the Celery worker of that name answers a ping over the queue it serves."""
    with Celery(broker=at.valkey_url, set_as_current=False) as probe:
        probe.conf.broker_transport_options = {"global_keyprefix": at.key_prefix}
        try:
            return bool(probe.control.ping(destination=[node], timeout=PING_SECONDS, limit=1))
        except (OperationalError, RedisError, OSError):
            return False


def interpreter() -> str:
    """The Python that runs us runs them."""
    return sys.executable
