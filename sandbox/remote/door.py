"""The door of a sandbox of another host, and which kind of door a sandbox has."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from agentstore.kit.threads import in_thread
from sandbox import doors
from sandbox.doors import Door, local_door
from sandbox.failures import AgentFailure, Fault, explain
from sandbox.hosts import address_of, is_here
from sandbox.remote import preface
from sandbox.remote.preface import BrokenPreface

_CONNECT_SECONDS = 3.0
_LOG_BYTES = 64 * 1024
_READ_AHEAD = 32 * 1024
# A host that went away sends nothing more: so many seconds later the connection breaks.
_SILENT_SECONDS = 10


def host_lost() -> AgentFailure:
    """The failure of a turn whose host is gone."""
    return AgentFailure(
        "The host of the agent's sandbox does not answer.", fault=Fault.PLATFORM, code="host_lost"
    )


@dataclass(frozen=True, slots=True)
class RemoteDoor:
    """A sandbox of another host, by way of that host's door server at `address` (host:port)."""

    sandbox_id: uuid.UUID
    address: str

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """See `Door`. Raises AgentFailure `host_lost` (ours) when the door server does not answer."""
        host, port = split_address(self.address)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    host, port, limit=_READ_AHEAD, ssl=client_context(), server_hostname=_tls_name(host)
                )
                try:
                    _notice_silence(writer.get_extra_info("socket"))
                    code = await self._introduce(reader, writer)
                except BaseException:
                    writer.transport.abort()
                    raise
        except (OSError, TimeoutError, BrokenPreface, asyncio.IncompleteReadError) as away:
            raise host_lost() from away
        if code:
            writer.transport.abort()
            raise refused(code)
        return reader, writer

    def is_answering(self) -> bool:
        """See `Door`; here it takes a way to the host and back."""
        try:
            with self._ask("look"):
                return True
        except AgentFailure:
            return False

    def find_fault(self) -> AgentFailure:
        """See `Door`."""
        try:
            with self._ask("look"):
                return doors.gone()
        except AgentFailure as why:
            return why if why.fault == Fault.PLATFORM else doors.gone()

    async def explain(self, failure: AgentFailure) -> AgentFailure:
        """See `Door`: what looks like the agent's silence is ours when its host is silent."""
        found = await in_thread(self.find_fault)
        return found if found.fault == Fault.PLATFORM else failure

    def read_log(self) -> str:
        """See `Door`."""
        try:
            with self._ask("log") as connection, contextlib.closing(connection.makefile("rb")) as told:
                return told.read(_LOG_BYTES).decode(errors="replace")
        except (AgentFailure, OSError):
            return ""

    async def _introduce(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        said = _Introduction("open", self.sandbox_id)
        writer.write(said.request(await reader.readuntil(b"\n")))
        await writer.drain()
        return said.answer(await reader.readuntil(b"\n"))

    @contextlib.contextmanager
    def _ask(self, verb: str) -> Iterator[socket.socket]:
        host, port = split_address(self.address)
        said = _Introduction(verb, self.sandbox_id)
        try:
            connection = socket.create_connection((host, port), timeout=_CONNECT_SECONDS)
            context = client_context()
            if context is not None:
                connection = context.wrap_socket(connection, server_hostname=host)
        except OSError as away:
            raise host_lost() from away
        with connection:
            try:
                connection.sendall(said.request(_read_line(connection)))
                code = said.answer(_read_line(connection))
            except (OSError, BrokenPreface) as broken:
                raise host_lost() from broken
            if code:
                raise refused(code)
            yield connection


class _Introduction:
    """The client's side of one preface."""

    def __init__(self, verb: str, sandbox_id: uuid.UUID) -> None:
        self.verb, self.sandbox_id, self.nonce = verb, sandbox_id, preface.new_nonce()
        self.server_nonce = ""

    def request(self, greeting: bytes) -> bytes:
        self.server_nonce = preface.read_greeting(greeting)
        return preface.request_line(
            verb=self.verb, sandbox_id=self.sandbox_id, server_nonce=self.server_nonce, nonce=self.nonce
        )

    def answer(self, line: bytes) -> str:
        return preface.read_answer(
            line, verb=self.verb, sandbox_id=self.sandbox_id, server_nonce=self.server_nonce, nonce=self.nonce
        )


def door_to(sandbox_id: uuid.UUID, *, host: str) -> Door:
    """The door of a sandbox, by the name of its host."""
    return door_at(sandbox_id, host=host, address="" if is_here(host) else address_of(host))


def door_at(sandbox_id: uuid.UUID, *, host: str, address: str) -> Door:
    """`door_to` for who has read the host's address already."""
    return local_door(sandbox_id) if is_here(host) else RemoteDoor(sandbox_id, address)


def refused(code: str) -> AgentFailure:
    """A door server's refusal as a failure."""
    if code in ("unsafe_socket", "not_listening", "sandbox_gone"):
        return AgentFailure(explain(code).words, fault=explain(code).fault, code=code)
    return AgentFailure(
        f"The sandbox's host refused the connection ({code}).", fault=Fault.PLATFORM, code="door_refused"
    )


def split_address(address: str) -> tuple[str, int]:
    """`host:port`, IPv6 in brackets, as a pair; port 0 when it is no address, to which nobody connects."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port) if port.isdigit() else 0


def client_context() -> ssl.SSLContext | None:
    """How to speak TLS to a door server; None without SANDBOX_DOOR_TLS_CA."""
    if not settings.SANDBOX_DOOR_TLS_CA:
        return None
    return ssl.create_default_context(cafile=settings.SANDBOX_DOOR_TLS_CA)


def _tls_name(host: str) -> str | None:
    return host if settings.SANDBOX_DOOR_TLS_CA else None


def _notice_silence(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 4), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _SILENT_SECONDS * 1000),
    ):  # fmt: skip
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < preface.LINE_BYTES:
        piece = connection.recv(1)
        if not piece:
            break
        line += piece
    return line
