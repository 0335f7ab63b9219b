"""Fetching what strangers point at, and sending there: from public addresses only, within bounds of size and time.

Each redirect is a new connection and checked like the first (agentstore.kit.outside). No proxy, no cookie and no
credential is ever used.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO, Final

import httpcore
import httpx

from agentstore.kit.outside import (
    STEP_SECONDS,
    Bounds,
    CheckedBackend,
    FetchFailed,
    FetchRefused,
    Resolver,
    Spent,
    check_url,
    is_public,
    resolve_host,
)

__all__ = [
    "Bounds",
    "FetchFailed",
    "FetchRefused",
    "Fetched",
    "check_url",
    "fetch",
    "is_public",
    "resolve_host",
    "send",
]

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: `status` is 200, or 304 where the conditions given still hold; `size` in bytes."""

    url: str
    status: int
    size: int
    content_type: str
    etag: str
    last_modified: str
    cache_control: str = ""


def fetch(
    url: str,
    *,
    into: BinaryIO,
    bounds: Bounds,
    headers: Mapping[str, str] | None = None,
    redirects: int = _MOST_REDIRECTS,
    own_networks: bool = True,
    resolve: Resolver = resolve_host,
) -> Fetched:
    """Write what an address answers into a file; the body is as sent, compressed or not.

    `own_networks` lets FETCH_ALLOWED_NETWORKS in: for those whom the operator knows, not for anybody.
    Speaks to the outside: call it outside of a transaction. Raises FetchRefused, FetchFailed.
    """
    spent = Spent(bounds)
    backend = CheckedBackend(spent, resolve, own_networks=own_networks)
    target = check_url(url)
    for _ in range(redirects + 1):
        answer = _ask(target, into=into, spent=spent, headers=headers or {}, backend=backend)
        if isinstance(answer, Fetched):
            return answer
        try:
            following = check_url(str(target.join(answer)))
        except httpx.InvalidURL as broken:
            raise FetchFailed("It leads to what is no address.") from broken
        if target.scheme == "https" and following.scheme == "http":
            raise FetchRefused("It leads from https:// to http://.")
        target = following
    raise FetchFailed(f"It leads on more than {redirects} times." if redirects else "It leads elsewhere.")


def send(
    url: str,
    *,
    content: bytes,
    headers: Mapping[str, str],
    bounds: Bounds,
    own_networks: bool = True,
    resolve: Resolver = resolve_host,
) -> int:
    """Post a body; the status of the answer, of which nothing more is read. A redirect is a status like others.

    `own_networks` as in fetch. Speaks to the outside: call it outside of a transaction. Raises FetchRefused,
    FetchFailed.
    """
    target = check_url(url)
    backend = CheckedBackend(Spent(bounds), resolve, own_networks=own_networks)
    with _exchange("POST", target, headers=headers, content=content, backend=backend) as response:
        return response.status


def _ask(
    target: httpx.URL, *, into: BinaryIO, spent: Spent, headers: Mapping[str, str], backend: CheckedBackend
) -> Fetched | str:
    """One request: what came, or where it leads."""
    with _exchange("GET", target, headers=headers, content=None, backend=backend) as response:
        return _read(target, response, into=into, spent=spent)


@contextmanager
def _exchange(
    method: str,
    target: httpx.URL,
    *,
    headers: Mapping[str, str],
    content: bytes | None,
    backend: CheckedBackend,
) -> Iterator[httpcore.Response]:
    """A request and what is answered, over a connection of its own; what breaks it is FetchFailed."""
    asked = {
        "Host": target.netloc.decode("ascii"),
        "User-Agent": "AgentStore-Fetch/1",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    if content is not None:
        asked["Content-Length"] = str(len(content))
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), STEP_SECONDS)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend, max_connections=1) as pool,
            pool.stream(
                method,
                str(target),
                headers=list(asked.items()),
                content=content,
                extensions={"timeout": timeouts},
            ) as response,
        ):
            yield response
    except httpcore.TimeoutException as late:
        raise FetchFailed("It did not answer in time.") from late
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as broken:
        raise FetchFailed("It could not be reached, or broke off.") from broken


def _read(target: httpx.URL, response: httpcore.Response, *, into: BinaryIO, spent: Spent) -> Fetched | str:
    told = httpx.Headers(response.headers)
    if response.status in _REDIRECTS and "location" in told:
        return str(told["location"])
    if response.status not in (200, 304):
        raise FetchFailed(f"It answered with status {response.status}.", status_code=response.status)
    length = told.get("content-length", "")
    if length.isdigit():
        spent.require_room(int(length))
    size = 0
    if response.status == 200:
        for chunk in response.iter_stream():
            size += len(chunk)
            spent.require_room(size)
            into.write(chunk)
    return Fetched(
        url=str(target),
        status=response.status,
        size=size,
        content_type=told.get("content-type", "").partition(";")[0].strip().lower(),
        etag=_repeatable(told.get("etag", ""), longest=200),
        last_modified=_repeatable(told.get("last-modified", ""), longest=60),
        cache_control=told.get("cache-control", "")[:200],
    )


def _repeatable(told: str, *, longest: int) -> str:
    """A header that can be sent back as it came; empty for what cannot."""
    return told if len(told) <= longest and told.isascii() and told.isprintable() else ""


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
