"""UCP over REST and MCP: one set of answers."""

import json

import pytest
from django.core.cache import cache
from hypothesis import given
from hypothesis import strategies as st
from ucp_sdk.models.schemas.profile import BusinessSchema
from ucp_sdk.models.schemas.shopping.catalog_lookup import GetProductResponse, LookupResponse
from ucp_sdk.models.schemas.shopping.catalog_search import SearchResponse

from marketplace.catalog.models import Offer
from marketplace.catalog.offers import read_offers
from marketplace.catalog.products import VariantView
from marketplace.catalog.ucp.selection import matches, narrow
from marketplace.shopping.ucp import rest


@pytest.fixture
def call(client):
    def call(name, body, *, status=200):
        answer = client.post(f"/ucp/catalog/{name}", data=body, content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json()

    return call


@pytest.fixture
def tool(client):
    def tool(name, arguments):
        body = {
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": name, "arguments": arguments},
        }  # fmt: skip
        return client.post("/ucp/mcp", data=body, content_type="application/json").json()["result"]

    return tool


def test_search_answers_products_in_minor_units(indexed, call):
    answer = call("search", {"query": "camera", "context": {"address_country": "US"}})
    SearchResponse.model_validate(answer)
    assert answer["ucp"]["version"] == "2026-04-08"
    camera = answer["products"][0]
    assert camera["price_range"]["min"] == {"amount": 89999, "currency": "USD"}
    assert camera["variants"][0]["id"].startswith("var_")
    assert camera["variants"][0]["metadata"]["offer_id"].startswith("off_")
    assert camera["categories"][0]["value"] == "Electronics > Photo"
    assert camera["url"].endswith(f"/products/{camera['id']}/")


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        ({"price": {"max": 2000}}, {"Cotton Tee", "Red Wine"}),
        ({"price": {"min": 13000}}, {"Compact Digital Camera", "Comfy Padded Chair"}),
        ({"categories": ["Electronics > Audio"]}, {"Wireless Headphones"}),
        ({"categories": ["photo"]}, {"Compact Digital Camera"}),
        ({"categories": ["No such place"]}, set()),
        ({"brands": ["loom"], "options": {"Size": "M"}}, {"Cotton Tee"}),
        ({"available": False, "categories": ["Lighting"]}, {"Desk Lamp"}),
    ],
)
def test_filters(indexed, call, filters, titles):
    answer = call("search", {"filters": filters})
    assert {product["title"] for product in answer["products"]} == titles


def test_attributes_filter_and_are_counted(indexed, call, load, index):
    load(indexed, "id,title,price,availability,material\nbench,Bench,9 USD,in_stock,Oak\n")
    index()
    answer = call("search", {"filters": {"attributes": {"material": ["oak", "ash"]}}})
    assert [product["title"] for product in answer["products"]] == ["Bench"]
    assert answer["facets"]["attributes.material"] == [{"value": "Oak", "count": 1}]
    assert call("search", {"filters": {"attributes": ["oak"]}}, status=400)["code"] == "invalid_request"


def test_a_category_in_another_script_is_one(indexed, load, index, call, client):
    load(indexed, "id,title,price,availability,product_category\nc,Kamera,9 USD,in_stock,★ > 家電 > カメラ\n")
    index()
    for wanted in ("家電", "家電 > カメラ", "家電--カメラ", "カメラ"):
        answer = call("search", {"filters": {"categories": [wanted]}})
        assert [product["title"] for product in answer["products"]] == ["Kamera"], wanted
    assert answer["facets"]["category"] == [{"value": "家電--カメラ", "count": 1}]
    assert read_offers(offer_ids=[Offer.objects.latest("pk").pk]).popitem()[1].category == "家電"
    assert "Kamera" in client.get("/catalogue/", {"category": "家電"}).content.decode()


def test_an_id_is_written_in_one_way(indexed, call, product):
    right = product("Red Wine").public_id
    wrong = right.replace("_", "_0")
    answer = call("lookup", {"ids": [right, wrong]})
    assert [found["id"] for found in answer["products"]] == [right]
    assert answer["products"][0]["variants"][0]["inputs"] == [{"id": right, "match": "featured"}]
    assert [(told["code"], told["content"]) for told in answer["messages"]] == [("not_found", wrong)]


def test_categories_by_slug_path_and_name_are_one_query(indexed, call, django_assert_max_num_queries):
    wanted = ["photo", "Electronics > Audio", "furniture", *(f"none {number}" for number in range(47))]
    with django_assert_max_num_queries(12):
        answer = call("search", {"filters": {"categories": wanted}})
    titles = {product["title"] for product in answer["products"]}
    assert titles == {"Compact Digital Camera", "Wireless Headphones", "Comfy Padded Chair"}


@pytest.mark.parametrize(
    "many", [{"selected": [{"name": "Size", "label": "M"}] * 21}, {"preferences": ["Size"] * 21}]
)
def test_more_choices_than_are_tried_are_refused(indexed, product, call, tool, many):
    asked = {"id": product("Cotton Tee").public_id, **many}
    [told] = call("product", asked, status=400)["messages"]
    assert told["code"] == "request_too_large"
    assert tool("get_product", asked)["isError"]
    [[name, choices]] = many.items()
    call("product", asked | {name: choices[:20]})


def test_a_search_that_is_asked_to_explains_itself(indexed, call):
    plain = call("search", {"query": "camera"})
    answer = call("search", {"query": "camera", "explain": True})
    assert [p["id"] for p in answer["products"]] == [p["id"] for p in plain["products"]]
    assert ("query_reading", "camera") in [(said["code"], said["content"]) for said in answer["messages"]]
    why = answer["products"][0]["metadata"]["why"]
    assert why["words"]["matched"] == ["camera"]
    assert why["score"] == pytest.approx(why["words"]["share"] + why["meaning"]["share"], abs=0.001)
    assert all("why" not in product["metadata"] for product in plain["products"])


def test_destination_and_pages(indexed, call):
    found = call("search", {"query": "", "context": {"address_country": "DE"}, "pagination": {"limit": 2}})
    assert found["pagination"]["has_next_page"]
    rest = call(
        "search",
        {"query": "", "context": {"address_country": "DE"}, "cursor": found["pagination"]["cursor"]},
    )
    titles = {product["title"] for product in [*found["products"], *rest["products"]]}
    assert titles == {"Cotton Tee", "Wireless Headphones", "Comfy Padded Chair"}


def test_a_price_filter_in_another_currency_is_ignored_and_said(indexed, call):
    answer = call("search", {"filters": {"price": {"max": 1}}, "context": {"currency": "EUR"}})
    assert answer["products"]
    assert answer["messages"][0]["code"] == "price_filter_ignored"


def test_an_empty_index_is_said(shop, call):
    assert call("search", {"query": "camera"})["messages"][0]["code"] == "index_empty"


def test_lookup_tells_which_id_led_where(indexed, call, offer):
    tee, medium = offer("tee-m").variant.product.public_id, offer("tee-m").variant.public_id
    answer = call("lookup", {"ids": [tee, medium, medium, "prod_999999", "nonsense"]})
    LookupResponse.model_validate(answer)
    [product] = answer["products"]
    assert [(v["id"], v["inputs"]) for v in product["variants"]] == [
        (medium, [{"id": tee, "match": "featured"}, {"id": medium, "match": "exact"}])
    ]
    assert [message["content"] for message in answer["messages"]] == ["prod_999999", "nonsense"]


def test_a_product_narrows_by_options(indexed, call, offer):
    tee = offer("tee-m").variant.product.public_id
    answer = call("product", {"id": tee, "selected": [{"name": "Size", "label": "M"}]})
    GetProductResponse.model_validate(answer)
    assert [variant["title"] for variant in answer["product"]["variants"]] == ["Blue / M"]
    sizes = next(option for option in answer["product"]["options"] if option["name"] == "Size")
    assert {value["label"]: value["exists"] for value in sizes["values"]} == {"S": True, "M": True}
    relaxed = call(
        "product",
        {
            "id": tee,
            "selected": [{"name": "Color", "label": "Blue"}, {"name": "Size", "label": "XXL"}],
            "preferences": ["Color", "Size"],
        },
    )
    assert relaxed["product"]["selected"] == [{"name": "Color", "label": "Blue"}]
    assert len(relaxed["product"]["variants"]) == 2
    featured = call("product", {"id": offer("tee-m").variant.public_id})
    assert featured["product"]["variants"][0]["id"] == offer("tee-m").variant.public_id


def test_an_unknown_product_is_an_answer_of_the_protocol(indexed, call):
    answer = call("product", {"id": "prod_999999"})
    assert answer["ucp"]["status"] == "error"
    assert answer["messages"][0]["severity"] == "unrecoverable"


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("search", '{"query": 5}', "invalid_request"),
        ("search", "[]", "invalid_request"),
        ("search", "{", "invalid_request"),
        ("search", json.dumps({"query": "x" * 501}), "invalid_search"),
        ("search", json.dumps({"query": "", "pagination": {"cursor": "x"}}), "malformed_cursor"),
        ("search", json.dumps({"filters": {"options": [1]}}), "invalid_request"),
        ("lookup", '{"ids": []}', "invalid_request"),
        ("lookup", json.dumps({"ids": [f"var_{n}" for n in range(51)]}), "request_too_large"),
        ("product", "{}", "invalid_request"),
    ],
)
def test_refusals_are_typed(db, client, name, body, code):
    answer = client.post(f"/ucp/catalog/{name}", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert body.get("code", body.get("messages", [{}])[0].get("code")) == code


def test_mcp_answers_what_rest_answers(indexed, call, tool, offer):
    request = {"query": "chair", "pagination": {"limit": 3}}
    expected = call("search", request)
    assert tool("search_catalog", request)["structuredContent"] == expected
    wrapped = {"meta": {"ucp-agent": {"profile": "https://agent.example/profile"}}, "catalog": request}
    assert tool("search_catalog", wrapped)["structuredContent"] == expected
    ids = {"ids": [offer("cam").variant.public_id]}
    assert tool("lookup_catalog", ids)["structuredContent"] == call("lookup", ids)
    one = {"id": offer("cam").variant.public_id}
    assert tool("get_product", one)["structuredContent"] == call("product", one)
    refused = tool("lookup_catalog", {"ids": []})
    assert (refused["isError"], refused["structuredContent"]["code"]) == (True, "invalid_arguments")


def test_the_profile_declares_both_transports(client):
    body = client.get("/.well-known/ucp").json()
    BusinessSchema.model_validate(body)
    services = body["ucp"]["services"]["dev.ucp.shopping"]
    assert [service["transport"] for service in services] == ["rest", "mcp"]
    assert client.get("/ucp/mcp").status_code == 405


def test_one_caller_cannot_take_it_all(db, client, monkeypatch, whole_minute):
    cache.clear()
    monkeypatch.setattr(rest, "CALLS_PER_MINUTE", 2)
    answers = [client.post("/ucp/catalog/lookup", {}, content_type="application/json") for _ in range(4)]
    assert 429 in [answer.status_code for answer in answers]
    cache.clear()


def test_no_answer_tells_of_money_earned(indexed, call):
    text = json.dumps([call("search", {"query": "camera"}), call("product", {"id": "prod_1"})]).lower()
    assert not {"ppcv", "fee", "bid", "budget", "commission", "sponsored"} & set(
        text.replace('"', " ").split()
    )


OPTIONS = st.dictionaries(st.sampled_from(["Color", "Size"]), st.sampled_from(["A", "B", "C"]))


@given(st.lists(OPTIONS, max_size=5), OPTIONS, st.lists(st.sampled_from(["Color", "Size"]), unique=True))
def test_a_narrowed_selection_is_met_or_empty(variants, selected, preferences):
    views = [VariantView(n, "", options, "", "", ()) for n, options in enumerate(variants)]
    chosen = narrow(views, selected=selected, preferences=preferences)
    assert chosen.items() <= selected.items()
    assert not chosen or any(matches(view, chosen) for view in views)
    if any(matches(view, selected) for view in views):
        assert chosen == selected
