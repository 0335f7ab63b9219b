"""The stand-in's HTTP side: routes, the key, idempotency, errors."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from billing.stripe_standin import events
from billing.stripe_standin.routes import ROUTES
from billing.stripe_standin.store import Store
from billing.stripe_standin.wire import ApiError, Call, Handler, expand, invalid, parse_form, visible

_COMPILED = [
    (method, re.compile(re.escape(path).replace(r"\*", "([^/]+)")), handler)
    for method, path, handler in ROUTES
]


@dataclass(frozen=True, slots=True)
class Config:
    """Whom to tell of events, and how to sign that."""

    webhook_url: str = ""
    webhook_secret: str = ""


def create_app(store: Store, config: Config) -> Starlette:
    """The ASGI application; its lifespan runs the webhook deliveries."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if not config.webhook_url:
            yield
            return
        deliveries = asyncio.create_task(
            events.deliver_forever(store, config.webhook_url, config.webhook_secret)
        )
        yield
        deliveries.cancel()
        with suppress(asyncio.CancelledError):
            await deliveries

    async def endpoint(request: Request) -> Response:
        raw = (await request.body()).decode() if request.method == "POST" else request.url.query
        return await run_in_threadpool(_answer, store, config, request, raw)

    async def banner(request: Request) -> Response:
        return JSONResponse({"service": "stand-in for Stripe", "livemode": False})

    return Starlette(
        routes=[
            Route("/", banner),
            Route("/{path:path}", endpoint, methods=["GET", "POST", "DELETE"]),
        ],
        lifespan=lifespan,
    )


def _answer(store: Store, config: Config, request: Request, raw: str) -> Response:
    request_id = store.new_id("req")
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    account = request.headers.get("stripe-account", "")
    if key is not None and account:
        key = f"{account}:{key}"
    digest = hashlib.sha256(f"{request.url.path}\n{raw}".encode()).hexdigest()
    headers = {"Request-Id": request_id, "Stripe-Version": request.headers.get("stripe-version", "")}
    try:
        _authenticate(request)
        with store.transaction():
            if key is not None and (earlier := store.answer(key)) is not None:
                first_digest, status, body = earlier
                if first_digest != digest:
                    raise _reused(key)
                headers["Idempotent-Replayed"] = "true"
                return _respond(status, body, headers)
            call, handler = _route(store, config, request, raw, request_id, key)
            status, thing = handler(call)
            if status == 303:
                return Response(status_code=303, headers={"Location": str(thing["location"])})
            if status == 200:
                expand(store, thing, call.params.get("expand", []))
            body = json.dumps(visible(thing))
            if key is not None:
                store.keep_answer(key, digest, status, body)
            return _respond(status, body, headers)
    except ApiError as refused:
        return _respond(refused.status, json.dumps(refused.body), headers)


def _authenticate(request: Request) -> None:
    if request.url.path.startswith("/_standin/"):
        return
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not key:
        raise ApiError(
            401, "invalid_request_error", "You did not provide an API key in the Authorization header."
        )
    if not key.startswith(("sk_test_", "rk_test_")):
        raise ApiError(
            401, "invalid_request_error", "This is a stand-in: it takes test keys only, never a live one."
        )


def _route(
    store: Store, config: Config, request: Request, raw: str, request_id: str, key: str | None
) -> tuple[Call, Handler]:
    for method, pattern, handler in _COMPILED:
        match = pattern.fullmatch(request.url.path)
        if match and method == request.method:
            call = Call(
                store=store,
                params=parse_form(raw),
                ids=match.groups(),
                request_id=request_id,
                idempotency_key=key,
                webhooks=bool(config.webhook_url),
                account=_account(store, request),
                base=str(request.base_url).rstrip("/"),
            )
            return call, handler
    raise invalid(
        f"Unrecognized request URL ({request.method}: {request.url.path}).", status=404, code="not_found"
    )


def _account(store: Store, request: Request) -> str:
    """The connected account that is acted for; only those that exist."""
    account = request.headers.get("stripe-account", "")
    if account and store.get(account, "account") is None:
        raise ApiError(
            403,
            "invalid_request_error",
            f"The provided key does not have access to account '{account}' (or that account does not exist).",
            code="account_invalid",
        )
    return account


def _reused(key: str) -> ApiError:
    return ApiError(
        400,
        "idempotency_error",
        "Keys for idempotent requests can only be used with the same parameters they were first used with."
        f" Try using a key other than '{key}' if you meant to execute a different request.",
    )


def _respond(status: int, body: str, headers: dict[str, str]) -> Response:
    return Response(body, status_code=status, media_type="application/json", headers=headers)
