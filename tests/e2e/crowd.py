"""Many shoppers at once, over HTTP as a browser's script would, each with a session of their own."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
from httpx_sse import SSEError, aconnect_sse

_SECONDS = 60.0


@dataclass
class Visit:
    """What one shopper saw: the conversation, how its turn ended, the sentences of waiting on the way."""

    conversation: str = ""
    ended: str = ""
    detail: str = ""
    said: str = ""
    waiting: list[str] = field(default_factory=list)
    first_word: float | None = None
    seconds: float = 0.0
    cookies: dict[str, str] = field(default_factory=dict, repr=False)


def send_crowd(site_url: str, agent: str, words: Sequence[str], *, patience: float) -> list[Visit]:
    """One shopper per entry of `words`, all at the same moment; each opens a conversation, says it and waits for
    the answer's end, `patience` seconds at most. A visit that broke says how in `ended`.
    """
    return asyncio.run(_crowd(site_url, agent, words, patience))


def close_all(site_url: str, visits: Sequence[Visit]) -> None:
    """Each shopper ends their conversation."""
    for seen in visits:
        with httpx.Client(base_url=site_url, cookies=seen.cookies, timeout=_SECONDS, trust_env=False) as http:
            answer = http.post(f"/chat/{seen.conversation}/close", data=_token(http))
            assert answer.status_code in (302, 303), answer.text[:200]


async def _crowd(site_url: str, agent: str, words: Sequence[str], patience: float) -> list[Visit]:
    return list(await asyncio.gather(*(_visit(site_url, agent, text, patience) for text in words)))


async def _visit(site_url: str, agent: str, text: str, patience: float) -> Visit:
    seen = Visit()
    began = time.monotonic()
    try:
        async with (
            asyncio.timeout(patience),
            httpx.AsyncClient(base_url=site_url, timeout=_SECONDS, trust_env=False) as http,
        ):
            await _open(http, agent, seen)
            seen.cookies = dict(http.cookies)
            answer = await http.post(
                f"/chat/{seen.conversation}/messages", data={"text": text, **_token(http)},
                headers={"Accept": "application/json"},
            )  # fmt: skip
            answer.raise_for_status()
            await _listen(http, seen, answer.json()["after"], began)
    except TimeoutError:
        seen.ended = "timeout"
    except (httpx.HTTPError, SSEError, LookupError) as broken:
        seen.ended, seen.detail = "broken", repr(broken)
    seen.seconds = time.monotonic() - began
    return seen


async def _open(http: httpx.AsyncClient, agent: str, seen: Visit) -> None:
    (await http.get(f"/agents/{agent}/")).raise_for_status()
    answer = await http.post(f"/chat/open/{agent}/", data=_token(http))
    found = re.search(r"/chat/([0-9a-f-]{36})/", answer.headers.get("location", ""))
    if found is None:
        raise LookupError(f"no conversation was opened: {answer.status_code} {answer.text[:200]}")
    seen.conversation = found[1]


async def _listen(http: httpx.AsyncClient, seen: Visit, after: str, began: float) -> None:
    """Follow the stream to the turn's end, and on from where it was cut off, as a browser does."""
    path = f"/chat/{seen.conversation}/events"
    while not seen.ended:
        try:
            async with aconnect_sse(http, "GET", path, headers={"Last-Event-ID": after}) as stream:
                async for event in stream.aiter_sse():
                    after = event.id or after
                    if not event.data:
                        continue  # how soon to come again: by the standard no event at all
                    _take(seen, event.event, event.json(), began)
                    if seen.ended:
                        return
        except httpx.TransportError:
            # The web process is away for a moment.
            await asyncio.sleep(0.2)


def _take(seen: Visit, name: str, data: dict[str, str], began: float) -> None:
    match name:
        case "message.delta":
            seen.said += data.get("text", "")
            seen.first_word = seen.first_word or time.monotonic() - began
        case "status" if data.get("state") == "waiting":
            seen.waiting.append(data.get("message", ""))
        case "turn.done":
            seen.ended = "done"
        case "turn.failed":
            seen.ended, seen.detail = "failed", data.get("code") or data.get("message", "")


def _token(http: httpx.AsyncClient | httpx.Client) -> dict[str, str]:
    return {"csrfmiddlewaretoken": http.cookies.get("csrftoken") or ""}
