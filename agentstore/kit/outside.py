"""Connections to what strangers point at: to public addresses only, within bounds of size and time.

A name is resolved once per connection, every address it has is checked, and the connection goes to a checked address:
a name that answers differently a moment later (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpcore
import httpx
from django.conf import settings

from agentstore.kit.errors import Refused, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

_PORTS: Final = frozenset({80, 443, 8080, 8443})
STEP_SECONDS: Final = 15.0
_CHUNK: Final = 65_536
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
# Public by number, yet answered by a cloud's own host: Azure's platform service, and what IETF protocols (and
# Oracle's metadata) have in 192.0.0.0/24.
_HOSTS_OWN: Final = tuple(ipaddress.ip_network(text) for text in ("168.63.129.16/32", "192.0.0.0/24"))


class FetchRefused(Refused):
    """The store does not fetch from there."""

    code = "fetch_refused"


class FetchFailed(Unavailable):
    """It could not be fetched whole: no answer, the wrong one, too much or too slow."""

    code = "fetch_failed"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is taken, in bytes of the body, and how long everything together may take."""

    max_bytes: int
    seconds: float


def check_url(url: str) -> httpx.URL:
    """A web address as the store takes it; says nothing of where it leads. Raises FetchRefused."""
    try:
        parsed = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError, TypeError) as broken:
        raise FetchRefused("This is not a web address.") from broken
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise FetchRefused("An address begins with https:// or http://.")
    if parsed.userinfo:
        raise FetchRefused("An address holds no user name or password.")
    return parsed


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, read in every way a network may read it."""
    return all(
        meant.is_global
        and not (meant.is_multicast or meant.is_reserved or meant.is_loopback or meant.is_link_local)
        and not getattr(meant, "is_site_local", False)
        and not any(meant in network for network in _HOSTS_OWN)
        for meant in _meanings(address)
    )


def _meanings(address: Address) -> Iterable[Address]:
    """The address, or the IPv4 addresses that it carries (mapped, 6to4, Teredo, NAT64)."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    return [address, *(carried for carried in (address.sixtofour, *(address.teredo or ())) if carried)]


def resolve_host(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as the system resolves it."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Spent:
    """What one fetch has used of its bounds, over all its connections."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._deadline = time.monotonic() + bounds.seconds
        # Headers, framing and redirects count as well; they have a quarter more and a megabyte of their own.
        self._wire_left = bounds.max_bytes + bounds.max_bytes // 4 + 1_000_000

    def time_left(self, wanted: float | None) -> float:
        """Seconds that a step may take. Raises FetchFailed when there are none."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise FetchFailed(f"It took more than {self._bounds.seconds:g} seconds.")
        return min(left, STEP_SECONDS if wanted is None else wanted)

    def count(self, received: int) -> None:
        """Bytes from the wire. Raises FetchFailed past the bound."""
        self._wire_left -= received
        if self._wire_left < 0:
            raise FetchFailed(f"It sent more than {self._bounds.max_bytes:,} bytes.")

    def require_room(self, size: int) -> None:
        """Raises FetchFailed for a body of more than is taken."""
        if size > self._bounds.max_bytes:
            raise FetchFailed(f"It has more than {self._bounds.max_bytes:,} bytes.")


class CheckedBackend(httpcore.NetworkBackend):
    """Connects to addresses that were checked, and to nothing by name."""

    def __init__(self, spent: Spent, resolve: Resolver, *, own_networks: bool) -> None:
        self._spent = spent
        self._resolve = resolve
        self._own = settings.FETCH_ALLOWED_NETWORKS if own_networks else []
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address that answers. Raises FetchRefused when any may not be reached."""
        addresses = self._checked(host, port)
        for place, address in enumerate(addresses, start=1):
            try:
                stream = self._plain.connect_tcp(
                    address, port, self._spent.time_left(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if place == len(addresses):
                    raise
            else:
                return _BoundedStream(stream, self._spent)
        raise FetchFailed("The name has no address.")

    def _checked(self, host: str, port: int) -> list[str]:
        try:
            found = [ipaddress.ip_address(text.partition("%")[0]) for text in self._resolve(host, port)]
        except (OSError, ValueError, UnicodeError) as unknown:
            raise FetchFailed("There is no such host.") from unknown
        allowed = [ipaddress.ip_network(text) for text in self._own]
        for address in found:
            if any(address in network for network in allowed):
                continue
            if not is_public(address):
                raise FetchRefused("It leads to an address that is not on the public internet.")
            if port not in _PORTS:
                raise FetchRefused(f"The store fetches from the ports {', '.join(map(str, sorted(_PORTS)))}.")
        return [str(address) for address in dict.fromkeys(found)]

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        """Never: a file of this machine is no address."""
        raise FetchRefused("A socket of this machine is not fetched from.")


class _BoundedStream(httpcore.NetworkStream):
    """A connection whose every step counts towards one deadline and one number of bytes."""

    def __init__(self, stream: httpcore.NetworkStream, spent: Spent) -> None:
        self._stream = stream
        self._spent = spent

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to so many bytes."""
        received = self._stream.read(min(max_bytes, _CHUNK), self._spent.time_left(timeout))
        self._spent.count(len(received))
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        self._stream.write(buffer, self._spent.time_left(timeout))

    def close(self) -> None:
        """End the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same connection under TLS; the certificate is checked against the name, not the address."""
        secured = self._stream.start_tls(ssl_context, server_hostname, self._spent.time_left(timeout))
        return _BoundedStream(secured, self._spent)

    def get_extra_info(self, info: str) -> Any:
        """What the connection underneath says."""
        return self._stream.get_extra_info(info)
