"""Stripe's conventions on the wire: nested form fields in, errors and lists out, `expand`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from billing.stripe_standin.store import Object, Store

_PART = re.compile(r"([^\[\]]+)|\[([^\[\]]*)\]")


class ApiError(Exception):
    """An answer in Stripe's error shape; what the call did so far is undone."""

    def __init__(self, status: int, type_: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Object = {"error": {"type": type_, "message": message, **more}}


def invalid(
    message: str, *, code: str | None = None, param: str | None = None, status: int = 400
) -> ApiError:
    """An `invalid_request_error`."""
    more = {name: value for name, value in (("code", code), ("param", param)) if value}
    return ApiError(status, "invalid_request_error", message, **more)


def missing(kind: str, id_: str, param: str = "id") -> ApiError:
    """404 as Stripe says it."""
    return invalid(f"No such {kind}: '{id_}'", code="resource_missing", param=param, status=404)


def parse_form(raw: str) -> Object:
    """`metadata[a]=1&expand[0]=b` → `{"metadata": {"a": "1"}, "expand": ["b"]}`; values stay text."""
    root: Object = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        parts = [first or second for first, second in _PART.findall(name)]
        place = root
        for part in parts[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise invalid(f"Invalid {name}", param=name)
        last = parts[-1] or str(len(place))
        place[last] = value
    return {name: _lists(value) for name, value in root.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    plain = {name: _lists(inner) for name, inner in value.items()}
    if plain and all(name.isdigit() for name in plain):
        return [plain[name] for name in sorted(plain, key=int)]
    return plain


@dataclass
class Call:
    """One API call in progress: its parameters, the store, and whom to tell of events.

    `account` is the connected account that the caller acts for (`Stripe-Account`), empty for the platform.
    """

    store: Store
    params: Object
    ids: tuple[str, ...]
    request_id: str
    idempotency_key: str | None
    webhooks: bool
    account: str = ""
    base: str = ""
    now: int = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.store.now()

    def require(self, name: str) -> Any:
        """A parameter that must be there."""
        if self.params.get(name) in (None, ""):
            raise invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)
        return self.params[name]

    def integer(self, name: str, value: Any) -> int:
        """A parameter as the integer that it must be."""
        if not re.fullmatch(r"-?\d{1,18}", str(value)):
            raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
        return int(value)

    def find(self, kind: str, id_: str, param: str = "id") -> Object:
        """An object that must exist, and be the caller's."""
        found = self.store.get(id_, kind)
        if found is None or found.get(ACCOUNT, "") != self.account:
            raise missing(kind, id_, param)
        return found

    def put(self, thing: Object) -> Object:
        """Create or replace an object of the account that the caller acts for."""
        return self.store.put({**thing, ACCOUNT: self.account} if self.account else thing)

    def emit(self, type_: str, thing: Object, *, account: str | None = None) -> None:
        """Record an event with a snapshot of its object, for delivery where somebody listens."""
        account = self.account if account is None else account
        event: Object = {
            "id": self.store.new_id("evt"),
            "object": "event",
            **({"account": account, ACCOUNT: account} if account else {"account": None}),
            "api_version": API_VERSION,
            "context": None,
            "created": self.now,
            "data": {"object": visible(thing)},
            "livemode": False,
            "pending_webhooks": 1 if self.webhooks else 0,
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
            "type": type_,
        }
        self.store.put(event)
        if self.webhooks:
            self.store.enqueue(event["id"])


API_VERSION = "2026-10-28.endive"
# Whose an object is, kept with it and never shown.
ACCOUNT = "_account"
Answer = tuple[int, Object]
Handler = Callable[[Call], Answer]


def listing(call: Call, kind: str, url: str, *filters: str) -> Answer:
    """A page of objects as Stripe lists them: `limit`, a cursor, `created`, and equality filters.

    A filter such as `payment[payment_intent]` looks into an object.
    """
    limit = call.integer("limit", call.params.get("limit", 10))
    if not 1 <= limit <= 100:
        raise invalid("limit must be between 1 and 100", param="limit")
    equal = dict(_equal(call, filters))
    after, before = (call.params.get(name) for name in ("starting_after", "ending_before"))
    if after and before:
        raise invalid("You can only provide one of `starting_after` or `ending_before`.")
    for name, id_ in (("starting_after", after), ("ending_before", before)):
        if id_ and call.store.get(str(id_), kind) is None:
            raise missing(kind, str(id_), name)
    things, more = call.store.newest(
        kind,
        limit=limit,
        after=after,
        before=before,
        account=call.account,
        created=_created(call),
        equal=equal,
    )
    return 200, {"object": "list", "data": things, "has_more": more, "url": url}


def _equal(call: Call, filters: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in filters:
        outer, _, inner = name.partition(".")
        given = call.params.get(outer)
        if inner and isinstance(given, dict):
            given = given.get(inner)
        if given is not None and not isinstance(given, dict):
            yield name, str(given)


def _created(call: Call) -> dict[str, int]:
    """The bounds of `created`: one instant, or any of gt, gte, lt and lte."""
    given = call.params.get("created")
    if given is None:
        return {}
    if not isinstance(given, dict):
        return {"=": call.integer("created", given)}
    unknown = set(given) - set(_BOUNDS)
    if unknown:
        raise invalid(
            f"Received unknown parameter: created[{min(unknown)}]", code="parameter_unknown", param="created"
        )
    return {_BOUNDS[name]: call.integer(f"created[{name}]", value) for name, value in given.items()}


_BOUNDS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def inline_list(things: list[Object], url: str) -> Object:
    """A list inside another object: its first ten, and where the others are."""
    return {"object": "list", "data": things[:10], "has_more": len(things) > 10, "url": url}


def visible(thing: Any) -> Any:
    """What a caller may see: all but the stand-in's own notes, whose names begin with an underscore."""
    if isinstance(thing, list):
        return [visible(item) for item in thing]
    if isinstance(thing, dict):
        return {name: visible(value) for name, value in thing.items() if not name.startswith("_")}
    return thing


def expand(store: Store, thing: Any, paths: list[str]) -> Any:
    """Replace ids by their objects along paths such as `latest_charge.balance_transaction`."""
    for path in paths:
        _expand(store, thing, path.split("."))
    return thing


def _expand(store: Store, place: Any, path: list[str]) -> None:
    if isinstance(place, list):
        for item in place:
            _expand(store, item, path)
        return
    if not path or not isinstance(place, dict):
        return
    name, *rest = path
    if name not in place:
        raise invalid(f"This property cannot be expanded ({name}).", param="expand")
    if isinstance(place[name], str):
        place[name] = store.get(place[name]) or place[name]
    _expand(store, place[name], rest)
