"""Items, prices, stock and feeds that merchants' programs push."""

import gzip
import json
from uuid import UUID

import pytest
from django.urls import reverse

from agentstore.identity.services import create_organization
from agentstore.identity.tokens import issue_token, revoke_token
from marketplace.catalog import merchant_api
from marketplace.catalog.feeds import run_import
from marketplace.catalog.models import FeedImport, Offer
from tests.catalog.conftest import FEED

MUG = {"id": "mug", "title": "Mug", "price": "8.00 USD", "availability": "in_stock", "quantity": 4}


@pytest.fixture
def secret(merchant, mia):
    return issue_token(organization=merchant, by=mia, name="warehouse")[1]


@pytest.fixture
def call(client, secret):
    """Call the API and give status and answer."""

    def call(name, body=None, *args, token=secret, query="", content_type="application/json"):
        address = reverse(f"catalog:api-{name}", args=args) + query
        headers = {"Authorization": f"Bearer {token}"}
        if body is None:
            answer = client.get(address, headers=headers)
        else:
            sent = body if isinstance(body, bytes) else json.dumps(body)
            answer = client.post(address, sent, content_type=content_type, headers=headers)
        return answer.status_code, answer.json()

    return call


def test_pushed_items_are_taken_or_refused_one_by_one(call, merchant):
    status, told = call("items", {"items": [MUG, {**MUG, "id": "b", "price": "much"}, "nonsense"]})
    assert status == 200
    assert [told["import"][name] for name in ("status", "new", "refused")] == ["done", 1, 2]
    assert [(row["line"], row["code"]) for row in told["refusals"]] == [
        (2, "price_unreadable"),
        (3, "not_json"),
    ]
    assert Offer.objects.get().merchant == merchant
    assert FeedImport.objects.get().via == FeedImport.Via.PUSH


def test_an_item_that_is_too_long_takes_no_other_with_it(call):
    _, told = call("items", {"items": [MUG, {"id": "b", "title": "x" * 1_100_000}, {**MUG, "id": "c"}]})
    assert [told["import"][name] for name in ("status", "new", "refused")] == ["done", 2, 1]
    assert [(row["line"], row["code"]) for row in told["refusals"]] == [(2, "line_too_long")]


def test_a_dry_run_changes_nothing(call):
    _, told = call("items", {"items": [MUG], "dry_run": True})
    assert (told["import"]["new"], told["import"]["dry_run"]) == (1, True)
    assert not Offer.objects.exists()


def test_prices_and_stock_alone(call, shop, offer):
    status, told = call(
        "offers",
        {
            "items": [
                {"id": "cam", "price": "800 USD", "sale_price": "700 USD"},
                {"id": " wine", "quantity": 3},
                {"id": "chair", "availability": "out_of_stock"},
                {"id": "head", "price": "79.50 USD"},
                {"id": "nobody", "quantity": 1},
                {"id": "tee-s", "sale_price": "1 USD"},
                {"id": "tee-m"},
                7,
            ]
        },
    )
    assert (status, told["changed"], told["unchanged"], told["refused"]) == (200, 3, 1, 4)
    assert [(row["index"], row["code"]) for row in told["refusals"]] == [
        (4, "item_unknown"), (5, "price_missing"), (6, "nothing_said"), (7, "nothing_said"),
    ]  # fmt: skip
    assert (offer("cam").price.minor, offer("cam").list_price.minor, offer("cam").stock) == (
        70_000,
        80_000,
        2,
    )
    assert (offer("wine").stock, offer("wine").price.minor) == (3, 1_200)
    assert offer("chair").stock == 0


@pytest.mark.parametrize("name", ["offers", "items"])
@pytest.mark.parametrize("odd", ["m\x00", "m\ud800"])
def test_text_that_no_database_keeps_is_refused(call, shop, offer, name, odd):
    items = [{"id": "wine", "quantity": 3, "price": "8 USD", "title": "Wine"}, {"id": odd, "quantity": 3}]
    status, told = call(name, {"items": items})
    assert (status, told["code"]) == (400, "invalid_request")
    assert offer("wine").stock == 20


def test_a_file_name_that_no_database_keeps_leaves_no_file(call, data_dir):
    status, told = call("imports", b"id\n", query="?filename=%00.csv", content_type="text/csv")
    assert (status, told["code"]) == (400, "invalid_request")
    assert not FeedImport.objects.exists()
    assert not [file for file in data_dir.rglob("*") if file.is_file()]


def test_a_whole_feed_as_the_body_is_read_by_a_worker(call):
    status, told = call(
        "imports", gzip.compress(FEED.encode()), query="?filename=f.csv.gz", content_type="application/gzip"
    )
    assert (status, told["import"]["status"]) == (202, "waiting")
    run_import(import_id=UUID(told["import"]["id"]))
    status, told = call("import", None, told["import"]["id"])
    assert (status, told["import"]["new"], told["refusals"]) == (200, 7, [])
    status, told = call("roll-back", {}, told["import"]["id"])
    assert (status, told["import"]["status"]) == (202, "undoing")
    assert call("roll-back", {}, told["import"]["id"])[1]["code"] == "cannot_roll_back"


def test_refused_lines_come_in_pages(call, monkeypatch):
    monkeypatch.setattr(merchant_api, "REFUSALS_AT_ONCE", 2)
    _, told = call("items", {"items": [{"id": str(n)} for n in range(5)]})
    _, more = call("import", None, told["import"]["id"], query=f"?after={told['refusals'][-1]['line']}")
    assert [row["line"] for row in told["refusals"] + more["refusals"]] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("items", b"{", "invalid_request"),
        ("items", b"[]", "invalid_request"),
        ("items", {"items": []}, "invalid"),
        ("items", {"items": [MUG] * 1_001}, "invalid"),
        ("offers", {"items": "x"}, "invalid_request"),
        ("imports", b"x", "unknown_format"),
    ],
)
def test_what_is_no_request_is_told_so(call, name, body, code):
    status, told = call(name, body)
    assert (status, told["code"]) == (400, code)


def test_tokens_open_their_own_shop_until_they_are_revoked(call, client, merchant, mia, charlie, secret):
    told = call("items", {"items": [MUG]})[1]["import"]
    theirs = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    token, foreign = issue_token(organization=theirs, by=charlie, name="x")
    assert call("import", None, told["id"], token=foreign)[0] == 404
    assert call("roll-back", {}, told["id"], token=foreign)[0] == 404
    assert call("offers", {"items": [{"id": "mug", "quantity": 1}]}, token=foreign)[1]["refused"] == 1
    for wrong in ("", "agst_nobody", secret[:-1]):
        assert call("items", {"items": [MUG]}, token=wrong)[0] == 401
    revoke_token(token_id=token.pk, organization=theirs, by=charlie)
    assert call("import", None, told["id"], token=foreign)[0] == 401
    client.force_login(mia)
    assert client.post(reverse("catalog:api-items"), "{}", content_type="application/json").status_code == 401


def test_a_studio_s_token_pushes_nothing(call, studio, alice):
    _, secret = issue_token(organization=studio, by=alice, name="x")
    assert call("items", {"items": [MUG]}, token=secret)[0] == 401


def test_calls_a_minute_are_limited(call, monkeypatch, whole_minute):
    monkeypatch.setattr(merchant_api, "CALLS_PER_MINUTE", 2)
    assert [call("items", {"items": [MUG]})[0] for _ in range(5)][-1] == 429
