"""No request, however odd, is answered with a server error: UCP over REST and MCP, feeds, the catalogue's pages."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import requests
import schemathesis
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agentstore.identity.tokens import issue_token
from agentstore.kit.pagination import decode_cursor, encode_cursor
from marketplace.catalog import merchant_api
from marketplace.catalog.feeds import run_import
from marketplace.catalog.models import FeedImport
from marketplace.catalog.ucp.versions import AUGUST
from marketplace.shopping.ucp import rest
from marketplace.shopping.ucp.openapi import ROUTES, openapi_document
from marketplace.shopping.ucp.tools import TOOLBOX
from tests.ucp.world import PROFILE, SHIPPING, card

BRIEFLY = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TEXT = {"type": "string"}


def pages() -> dict[str, Any]:
    """The catalogue's pages, which take their arguments from anybody's address bar."""

    def page(*names: str, place: str = "query") -> dict[str, Any]:
        parameters = [
            {"name": name, "in": place, "required": place == "path", "schema": TEXT} for name in names
        ]
        return {"get": {"parameters": parameters, "responses": {"default": {"description": "a page"}}}}

    return {
        "/catalogue/": page("q", "category", "brand", "max", "cursor"),
        "/products/{product_id}/": page("product_id", place="path"),
        "/media/photos/{name}": page("name", place="path"),
        "/ucp/continue/{checkout_id}/": page("checkout_id", place="path"),
        "/ucp/orders/{token}/view/": page("token", place="path"),
        "/.well-known/ucp": page(),
    }


def mcp() -> dict[str, Any]:
    """Every tool as a JSON-RPC call."""
    tools = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": tool.input_schema},
            "required": ["name", "arguments"],
        }
        for tool in TOOLBOX.tools
    ]
    call = {
        "type": "object",
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {"type": "integer"},
            "method": {"enum": ["tools/call", "initialize", "tools/list", "ping"]},
            "params": {"anyOf": [*tools, {"type": "object"}]},
        },
        "required": ["id", "method"],
    }
    body = {"required": True, "content": {"application/json": {"schema": call}}}
    answers = {"default": {"description": "JSON-RPC"}}
    return {"post": {"requestBody": body, "responses": answers}}


def merchants() -> dict[str, Any]:
    """The merchants' API: columns of a feed, in whatever shape."""
    anything = {"type": ["string", "number", "null", "array", "object", "boolean"]}
    columns = (
        "id",
        "title",
        "price",
        "sale_price",
        "availability",
        "quantity",
        "product_category",
        "ships_to",
    )
    item = {"type": "object", "properties": dict.fromkeys(columns, anything), "required": ["id", "price"]}
    body = {"type": "object", "properties": {"items": {"type": "array", "items": item, "maxItems": 3}}}
    content = {"required": True, "content": {"application/json": {"schema": body}}}
    push = {"post": {"requestBody": content, "responses": {"default": {"description": "a report"}}}}
    return {"/api/merchant/items": push, "/api/merchant/offers": push}


def documents() -> dict[str, dict[str, Any]]:
    """Each method and path, with an OpenAPI document of it alone."""
    whole = openapi_document()
    paths = {f"/ucp{path}": item for path, item in whole["paths"].items()}
    # The newer version has the same operations below its own addresses, and answers that are written otherwise.
    paths |= {f"/ucp/{AUGUST}{path}": item for path, item in whole["paths"].items()}
    paths |= pages() | merchants() | {"/ucp/mcp": mcp(), f"/ucp/{AUGUST}/mcp": mcp()}
    return {
        f"{method} {path}": {"openapi": "3.1.0", "info": whole["info"], "paths": {path: {method: operation}}}
        for path, item in paths.items()
        for method, operation in item.items()
    }


DOCUMENTS = documents()


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_no_request_breaks_the_store(goods, platform, monkeypatch, document):
    monkeypatch.setattr(rest, "CALLS_PER_MINUTE", 1_000_000)
    monkeypatch.setattr(merchant_api, "CALLS_PER_MINUTE", 1_000_000)
    owner = goods.tea.memberships.get().user
    _, token = issue_token(organization=goods.tea, by=owner, name="fuzz")
    kettle = goods.kettle.variant.public_id
    line = {"line_items": [{"item": {"id": kettle}, "quantity": 1}], "fulfillment": SHIPPING}
    known = {
        "carts": platform.rest("POST", "carts", line, status=201)["id"],
        "checkout-sessions": platform.rest("POST", "checkout-sessions", line, status=201)["id"],
    }
    schema = schemathesis.openapi.from_dict(document)
    [found] = schema.get_all_operations()
    operation: Any = found.ok()  # type: ignore[union-attr]  # the document is ours

    @settings(BRIEFLY, max_examples=BRIEFLY.max_examples // (2 if AUGUST in operation.path else 1))
    @given(operation.as_strategy(), st.booleans(), st.booleans())
    def ask(case, real_target, real_agent):
        if real_target and case.path_parameters and "target" in case.path_parameters:
            kind = case.path.split("{")[0].rstrip("/").rsplit("/", 1)[1]
            case.path_parameters["target"] = known.get(kind, case.path_parameters["target"])
        if real_agent and case.path.startswith("/ucp/"):
            case.headers["UCP-Agent"] = f'profile="{PROFILE}"'
        if case.path.startswith("/api/merchant/"):
            case.headers["Authorization"] = f"Bearer {token}"
        sent = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
        headers = {name: value for name, value in sent.headers.items() if name.isascii()}
        # Django's own client: what breaks is raised here.
        answer = platform.client.generic(
            str(sent.method), str(sent.path_url), sent.body or b"",
            content_type=headers.pop("Content-Type", ""), headers=headers,
        )  # fmt: skip
        assert answer.status_code < 500, f"{case.method} {case.path}"

    ask()


CELL = st.text(max_size=12) | st.sampled_from(
    ["", "9 USD", "in_stock", "1e999999999", "-0", "NaN", "2026-01-01T00:00Z/0001-01-01", "\x00", '"', "A > B > "]
)  # fmt: skip
COLUMNS = st.sampled_from(
    ["id", "title", "price", "availability", "quantity", "sale_price", "sale_price_effective_date", "gtin",
     "image_link", "expiration_date", "product_category", "unit_pricing_measure", "description", "", "g:id", "\x00"]
)  # fmt: skip
ROWS = st.lists(st.lists(CELL, max_size=8), max_size=4)


def as_table(columns, rows, separator):
    """A feed with the columns that are needed and these, its cells as they come."""
    lines = [
        ["id", "title", "price", "availability", *columns],
        *(["a", "b", "9 USD", "in_stock", *r] for r in rows),
    ]
    return "\n".join(separator.join(line) for line in [*lines, *rows]).encode("utf-8", "surrogatepass")


def as_objects(columns, rows):
    """The same as lines of JSON, some of them none."""
    items = [dict(zip(columns, row, strict=False)) | {"id": "a", "price": "9 USD"} for row in rows]
    return "\n".join([json.dumps(items), *map(json.dumps, items), "{", "[" * 900]).encode()


FEEDS = (
    st.tuples(st.sampled_from(["csv", "tsv", "jsonl"]), st.binary(max_size=200))
    | st.tuples(st.just("csv"), st.builds(as_table, st.lists(COLUMNS, max_size=8), ROWS, st.just(",")))
    | st.tuples(st.just("tsv"), st.builds(as_table, st.lists(COLUMNS, max_size=8), ROWS, st.just("\t")))
    | st.tuples(st.just("jsonl"), st.builds(as_objects, st.lists(COLUMNS, max_size=8), ROWS))
)


@pytest.mark.parametrize("door", ["page", "api"])
def test_no_feed_breaks_the_store(goods, client, monkeypatch, door):
    monkeypatch.setattr(merchant_api, "CALLS_PER_MINUTE", 1_000_000)
    owner = goods.tea.memberships.get().user
    _, token = issue_token(organization=goods.tea, by=owner, name="fuzz")
    client.force_login(owner)

    @settings(BRIEFLY, max_examples=20)
    @given(FEEDS, st.sampled_from(["plain", "gzip", "cut"]), st.booleans())
    def upload(feed, packing, dry):
        kind, content = feed
        if packing != "plain":
            content = gzip.compress(content)[: -9 if packing == "cut" else None]
        if door == "page":
            file = SimpleUploadedFile(f"feed.{kind}", content)
            form = {"file": file, "format": kind, **({"dry_run": "on"} if dry else {})}
            answer = client.post(reverse("catalog:imports", args=[goods.tea.slug]), form)
        else:
            answer = client.post(
                f"/api/merchant/imports?format={kind}&dry_run={str(dry).lower()}", content,
                content_type="application/octet-stream", headers={"Authorization": f"Bearer {token}"},
            )  # fmt: skip
        assert answer.status_code < 500
        for waiting in FeedImport.objects.filter(merchant=goods.tea, status=FeedImport.Status.WAITING):
            ended = run_import(import_id=waiting.pk)
            assert ended.status in (FeedImport.Status.DONE, FeedImport.Status.FAILED)
            assert client.get(reverse("catalog:import", args=[goods.tea.slug, ended.pk])).status_code == 200

    upload()


NUL, HALF, DEEP = "\x00", "\ud800", "[" * 2000 + "]" * 2000
ODD = [
    "{", "[]", "null", "1", '"x"', DEEP, '{"query": NaN}', '{"query": 1e999}',
    json.dumps({"query": NUL, "line_items": [{"item": {"id": NUL}, "quantity": 1}]}),
    json.dumps({"query": HALF}), json.dumps({"line_items": [{"item": {"id": "var_1"}, "quantity": 10**30}]}),
    json.dumps({"ids": ["var_999999999999999999"], "query": "x", "fields": [""], "compact": True}),
    json.dumps({"buyer": {"first_name": NUL}, "cart_id": NUL}),
    json.dumps({"buyer": {"first_name": "x" * 9999}, "line_items": [{"item": {"id": "off_1"}, "quantity": 1}]}),
    json.dumps({"fulfillment": {"methods": [{"destinations": [[]]}]}, "line_items": [1]}),
    json.dumps({**card(), "line_items": [{"item": {"id": "prod_1"}, "quantity": True}]}),
    json.dumps({"pagination": {"cursor": "x"}, "cursor": 5, "query": "x", "filters": {"price": {"min": -1}}}),
    json.dumps({"filters": {"price": {"min": 10**40, "max": 10**40}, "options": {"a": [1, None]}}}),
    *('{"line_items": %s, "query": "\\u0000"}' % ("[" * deep + "]" * deep) for deep in (600, 900)),
]  # fmt: skip


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_odd_bodies_are_refused_or_answered(platform, goods, monkeypatch, body):
    monkeypatch.setattr(rest, "CALLS_PER_MINUTE", 1_000_000)
    for method, path in ROUTES.values():
        for target in ("%00", "é" * 300):
            answer = platform.client.generic(
                method.upper(), "/ucp" + path.format(target=target), body, content_type="application/json",
                headers={"UCP-Agent": f'profile="{PROFILE}"'},
            )  # fmt: skip
            assert answer.status_code < 500, (path, answer.content)
    for tool in TOOLBOX.by_name:
        for arguments in ('{"id": "x", "checkout": %s, "cart": %s, "catalog": %s}' % ((body,) * 3), body):
            call = '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "%s", "arguments": %s}}'
            answer = platform.client.post(
                "/ucp/mcp", call % (tool, arguments), content_type="application/json"
            )
            assert answer.status_code < 500
            assert answer.json().get("error", {}).get("code") != -32603, (tool, answer.content)


def filters(**wanted: Any) -> dict[str, Any]:
    return {"filters": wanted}


# What becomes of each: an answer, or the code of its refusal.
ODD_SEARCHES: list[tuple[dict[str, Any], str]] = [
    (filters(brands=5), "invalid_request"), (filters(brands="Nike"), "invalid_request"),
    (filters(brands=[{"a": 1}]), "invalid_request"),
    (filters(price={"max": 10**15}), ""), (filters(price={"min": 10**15}), ""),
    (filters(price={"max": 10**400}), "invalid_request"),
    (filters(options={"Size": [["M"]]}), "invalid_request"), (filters(options={"Size": [42, "M"]}), ""),
    (filters(categories=["x"] * 51), "request_too_large"), (filters(brands=["x"] * 51), "request_too_large"),
    (filters(options={"Size": ["x"] * 51}), "request_too_large"),
    (filters(attributes={f"a{number}": "x" for number in range(51)}), "request_too_large"),
    (filters(categories=[f"x{number}" for number in range(50)]), ""),
]  # fmt: skip


@pytest.mark.parametrize("door", ["rest", "mcp"])
def test_odd_searches_are_refused_or_answered(platform, goods, index, door):
    index()
    for body, refused in ODD_SEARCHES:
        if door == "mcp":
            answer = platform.tool("search_catalog", **body)
            # A schema refuses first what it knows.
            assert answer["isError"] is bool(refused), (body, answer)
            continue
        status = 400 if refused else 200
        answer = platform.rest("POST", "catalog/search", body, status=status)
        assert refused in (
            answer.get("code"),
            *(told.get("code") for told in answer.get("messages", ())),
            "",
        ), body


def test_a_listings_cursor_beyond_all_ids_is_refused(platform, more_goods, index, client):
    index()
    listing = {"query": "", "pagination": {"limit": 1}}
    mark, ranking, _ = decode_cursor(
        platform.rest("POST", "catalog/search", listing)["pagination"]["cursor"], parts=3
    )
    for place, status in ((2**63 - 1, 200), (2**63, 400), (True, 400)):
        cursor = encode_cursor([mark, ranking, place])
        listing["pagination"] = {"cursor": cursor}
        platform.rest("POST", "catalog/search", listing, status=status)
        assert client.get("/catalogue/", {"cursor": cursor}).status_code == status
