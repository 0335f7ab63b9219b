"""The proxy to the operator's model server: OpenAI-compatible, under the run token and a budget.

The agent never holds a key and names no address: the server, its key and the model are the operator's
settings.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import httpx
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from agentstore.kit.errors import StoreError
from agentstore.kit.sse import event_stream
from agentstore.kit.threads import in_thread
from marketplace.gateway import budget
from marketplace.gateway.auth import Caller, caller_of
from marketplace.gateway.errors import ModelUnavailable
from marketplace.gateway.limits import count_call
from marketplace.gateway.middleware import problem
from marketplace.gateway.rest import json_object
from marketplace.gateway.tracing import record_call

_ANSWER_BYTES = 2 * 1024 * 1024
_TIMEOUT = httpx.Timeout(60.0, connect=3.0)
_clients: WeakKeyDictionary[Any, httpx.AsyncClient] = WeakKeyDictionary()


@csrf_exempt
@require_POST
async def completions(request: HttpRequest, path: str) -> HttpResponseBase:
    """Pass one request on; its answer as it comes. Streams are passed on as streams."""
    try:
        caller = await in_thread(_admit, request, path)
        asked = _asked(request.body)
        exchange = _Exchange(caller, path, asked, budget.estimate(len(request.body), asked))
        await in_thread(budget.reserve, conversation_id=caller.conversation.pk, tokens=exchange.reserved)
    except StoreError as refused:
        return problem(refused)
    try:
        answer = await _send(path, exchange.asked)
    except StoreError as refused:
        await exchange.end(outcome=refused.code)
        return problem(refused)
    if exchange.asked.get("stream") is True and answer.is_success:
        return event_stream(exchange.passed_on(answer))
    return await exchange.whole(answer)


@require_GET
async def models(request: HttpRequest) -> HttpResponseBase:
    """The one model there is."""
    try:
        await in_thread(_admit, request, "models")
    except StoreError as refused:
        return problem(refused)
    names = [settings.MODEL_NAME] if settings.MODEL_NAME else []
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "operator"} for name in names]
    return JsonResponse({"object": "list", "data": data})


def _admit(request: HttpRequest, path: str) -> Caller:
    caller = caller_of(request)
    caller.require("model")
    if not settings.MODEL_BASE_URL:
        raise ModelUnavailable(
            "This store has no model server.", hint="Work without one; the operator may set MODEL_BASE_URL."
        )
    try:
        count_call(caller)
    except StoreError as refused:
        record_call(
            caller, tool=path, transport="model", arguments={}, outcome=refused.code,
            result=refused.as_problem(), duration_ms=0,
        )  # fmt: skip
        raise
    return caller


def _asked(body: bytes) -> dict[str, Any]:
    asked = json_object(body)
    if settings.MODEL_NAME:
        asked["model"] = settings.MODEL_NAME
    if asked.get("stream") is True and "messages" in asked:
        asked["stream_options"] = {"include_usage": True}
    return asked


async def _send(path: str, asked: dict[str, Any]) -> httpx.Response:
    client = _client()
    headers = {"Authorization": f"Bearer {settings.MODEL_API_KEY}"} if settings.MODEL_API_KEY else {}
    url = f"{settings.MODEL_BASE_URL.rstrip('/')}/{path}"
    try:
        return await client.send(client.build_request("POST", url, json=asked, headers=headers), stream=True)
    except httpx.HTTPError as away:
        raise ModelUnavailable("The model server does not answer.", hint="Work without it for now.") from away


def _client() -> httpx.AsyncClient:
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        client = _clients[loop] = httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=False)
    return client


@dataclass
class _Exchange:
    """One request with its reservation, until it is settled and recorded."""

    caller: Caller
    path: str
    asked: dict[str, Any]
    reserved: int
    started: float = field(default_factory=time.monotonic)

    async def whole(self, answer: httpx.Response) -> HttpResponseBase:
        """An answer that is not a stream."""
        body = bytearray()
        try:
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > _ANSWER_BYTES:
                    raise ModelUnavailable("The model server's answer is too large.")
        except (httpx.HTTPError, StoreError) as broken:
            await self.end(outcome=ModelUnavailable.code)
            return problem(
                broken
                if isinstance(broken, StoreError)
                else ModelUnavailable("The model server broke its answer off.")
            )
        finally:
            await answer.aclose()
        used = budget.used_tokens(_parsed(bytes(body)))
        await self.end(
            outcome="ok" if answer.is_success else f"status_{answer.status_code}",
            used=(self.reserved if used is None else used) if answer.is_success else 0,
        )
        kind = answer.headers.get("content-type", "application/json")
        return HttpResponse(bytes(body), status=answer.status_code, content_type=kind)

    async def passed_on(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        """The server's events as they come; the usage in them settles the budget."""
        size, used, outcome = 0, None, "broken_off"
        try:
            async for line in answer.aiter_lines():
                size += len(line)
                if size > _ANSWER_BYTES:
                    outcome = "answer_too_large"
                    break
                if line.startswith("data:"):
                    used = budget.used_tokens(_parsed(line[5:].strip())) or used
                yield f"{line}\n".encode()
            else:
                outcome = "ok"
        except httpx.HTTPError:
            outcome = ModelUnavailable.code
        finally:
            await answer.aclose()
            await self.end(outcome=outcome, used=self.reserved if used is None else used)

    async def end(self, *, outcome: str, used: int = 0) -> None:
        """Settle and record; a client that went away changes nothing about either."""
        await asyncio.shield(in_thread(self._end, outcome, used))

    def _end(self, outcome: str, used: int) -> None:
        budget.settle(conversation_id=self.caller.conversation.pk, reserved=self.reserved, used=used)
        record_call(
            self.caller, tool=self.path, transport="model", outcome=outcome, result={"tokens": used},
            arguments={key: self.asked[key] for key in ("model", "stream") if key in self.asked},
            duration_ms=int((time.monotonic() - self.started) * 1000),
        )  # fmt: skip


def _parsed(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
