"""What a sandboxed agent may do, and what it may not, over REST and MCP."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from structlog.testing import capture_logs

from agentstore.kit.clock import now
from billing.models import UsageEvent
from marketplace.publishing.models import Version
from marketplace.shopping.models import Recommendation, ToolCall, Turn
from marketplace.shopping.shoppers import describe_shopper, give_consent, withdraw_consent
from marketplace.shopping.turns import end_turn
from sandbox.models import Sandbox
from tests.conversations.world import MANIFEST, bind_sandbox, own_socket

pytestmark = pytest.mark.urls("marketplace.gateway.urls")


@pytest.fixture(autouse=True)
def _gateway_process(settings):
    settings.MIDDLEWARE = settings.GATEWAY_MIDDLEWARE


class Door:
    """The gateway with one token, through its own sandbox's socket or through another."""

    def __init__(self, token: str, *, through: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = Client(headers=headers, REMOTE_ADDR=through or own_socket(token))

    def call(self, tool: str, arguments=None):
        return self.post(f"/v1/tools/{tool}", json.dumps(arguments or {}))

    def mcp(self, method: str, **params):
        return self.post("/mcp", json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))

    def post(self, path: str, body: str):
        return self.client.post(path, body, content_type="application/json")


@pytest.fixture
def door(token) -> Door:
    return Door(token)


def allow(*permissions: str) -> None:
    Version.objects.update(manifest={**MANIFEST, "permissions": list(permissions)})


def test_recommend_draws_a_card_and_is_in_the_trace(door, turn, mug):
    answer = door.call("recommend", {"variant_id": f"var_{mug.variant_id}", "reason": "She likes blue."})
    assert answer.status_code == 200
    assert answer.json()["price"] == {"amount": 1250, "currency": "USD"}
    call = ToolCall.objects.get()
    assert (call.tool, call.transport, call.outcome, call.turn) == ("recommend", "rest", "ok", turn)
    assert call.arguments["reason"] == "She likes blue."


def test_a_refused_claim_is_a_typed_problem_and_in_the_trace(door):
    answer = door.call("recommend", {"variant_id": "var_404404", "reason": "Trust me."})
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "unknown_variant"
    assert answer.json()["hint"]
    assert ToolCall.objects.get().outcome == "unknown_variant"


def test_the_liar_gets_nothing(door, turn, mug, budget):
    """Invented products and false prices: no card, no fee, and no id of the agent's own choosing."""
    for claimed in ("var_404404", "var_0", "prod_1", "Sony WH-1000XM6"):
        assert door.call("recommend", {"variant_id": claimed, "reason": "Only $1!"}).status_code == 422
    priced = {"variant_id": f"var_{mug.variant_id}", "reason": "Only $1!", "price": 100}
    assert door.call("recommend", priced).json()["code"] == "invalid_arguments"
    other = {"variant_id": f"var_{mug.variant_id}", "reason": "Hi", "conversation_id": str(turn.pk)}
    assert door.call("recommend", other).json()["code"] == "invalid_arguments"
    assert not Recommendation.objects.filter(status="shown").exists()
    assert not UsageEvent.objects.exists()


def test_catalogue_tools_read_the_catalogue_and_tell_no_money(door, mug, budget):
    answer = door.call("get_product", {"id": f"var_{mug.variant_id}"})
    assert answer.status_code == 200
    told = answer.content.decode().lower()
    assert "blue mug" in told
    assert not {word for word in ("ppcv", "fee", "budget", "bid", "cap_micros") if f'"{word}' in told}


def test_no_token_a_foreign_one_a_warm_one_a_dead_one(conversation, turn):
    assert Door("").call("recommend").json()["code"] == "no_run_token"
    assert Door("run_" + "x" * 43).call("recommend").status_code == 401
    _, warm = bind_sandbox(conversation, status=Sandbox.Status.WARM)
    answer = Door(warm).call("recommend")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_bound")
    row, dead = bind_sandbox(conversation)
    Sandbox.objects.filter(pk=row.pk).update(status=Sandbox.Status.STOPPED)
    assert Door(dead).call("recommend").status_code == 401
    assert not ToolCall.objects.exists()


def test_a_token_counts_at_its_own_sandboxs_socket_alone(conversation, turn, mug):
    """Whoever carries a token off can do nothing with it, however it asks."""
    _, token = bind_sandbox(conversation)
    thief, _ = bind_sandbox(conversation, status=Sandbox.Status.WARM)
    own = own_socket(token)
    with capture_logs() as told:
        for elsewhere in (thief.pk.hex, uuid.uuid4().hex, "127.0.0.1"):
            stolen = Door(token, through=elsewhere)
            stolen.client.defaults |= {"HTTP_X_FORWARDED_FOR": own, "HTTP_REMOTE_ADDR": own}
            answer = stolen.call("recommend", {"variant_id": f"var_{mug.variant_id}", "reason": "Mine now"})
            assert (answer.status_code, answer.json()["code"]) == (401, "token_from_elsewhere")
    assert told[0]["event"] == "security.token_from_elsewhere"
    assert (uuid.UUID(told[0]["owner"]).hex, uuid.UUID(told[0]["caller"])) == (own, thief.pk)
    assert token not in str(told)
    assert not ToolCall.objects.exists()
    assert Door(token).call("get_product", {"id": f"var_{mug.variant_id}"}).status_code == 200


def test_a_claim_that_is_no_conversation_reaches_nothing(conversation, turn):
    row, token = bind_sandbox(conversation)
    Sandbox.objects.filter(pk=row.pk).update(claim_key="check:1")
    assert Door(token).call("search_catalog", {"query": "mug"}).json()["code"] == "not_bound"


def test_between_turns_an_agent_can_do_nothing(door, turn, mug):
    claim = {"variant_id": f"var_{mug.variant_id}", "reason": "Psst."}
    Turn.objects.update(lease_until=now() - timedelta(seconds=1))
    assert door.call("recommend", claim).json()["code"] == "no_turn"
    end_turn(turn_id=turn.pk, status="done", by="runner", text="Bye.")
    answer = door.call("recommend", claim)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_turn")


def test_tools_are_those_that_the_manifest_asks_for(door):
    def names() -> list[str]:
        listed = door.mcp("tools/list").json()["result"]["tools"]
        assert [tool["name"] for tool in listed] == [
            tool["name"] for tool in door.client.get("/v1/tools").json()["tools"]
        ]
        return [tool["name"] for tool in listed]

    assert names() == ["search_catalog", "lookup_catalog", "get_product", "recommend", "shopper_profile"]
    allow("profile")
    assert names() == ["shopper_profile"]
    assert door.call("recommend", {"variant_id": "var_1", "reason": "x"}).status_code == 404
    assert ToolCall.objects.get().outcome == "unknown_tool"


def test_mcp_and_rest_are_the_same_tools(door, mug):
    answer = door.mcp(
        "tools/call", name="recommend", arguments={"variant_id": f"var_{mug.variant_id}", "reason": "Blue."}
    ).json()["result"]
    assert answer["structuredContent"]["status"] == "shown"
    refused = door.mcp("tools/call", name="recommend", arguments={"variant_id": "x", "reason": "y"}).json()
    assert refused["result"]["isError"]
    assert "malformed_id" in refused["result"]["content"][0]["text"]
    assert [c.transport for c in ToolCall.objects.all()] == ["mcp", "mcp"]
    assert door.client.get("/mcp").status_code == 405
    assert Door("").mcp("tools/list").status_code == 401


@pytest.mark.parametrize("body", ["[]", "{", "nul", "[" * 100_000])
def test_a_body_that_is_no_object_is_refused(door, body):
    answer = door.post("/v1/tools/recommend", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


def test_there_is_nothing_else_behind_the_door(door):
    for path in ("/", "/admin/", "/account/login/", "/cart/", "/v1/tools/recommend/../../admin", "/readyz"):
        assert door.client.get(path).status_code in (404, 405)
    assert Client().get("/healthz").json() == {"status": "ok"}


def test_a_turn_has_the_calls_that_its_version_is_granted(door, settings):
    settings.GATEWAY_CALLS_PER_SECOND = 100
    Version.objects.update(manifest={**MANIFEST, "resources": {**MANIFEST["resources"], "calls_per_turn": 3}})
    codes = [door.call("lookup_catalog", {"ids": ["var_1"]}).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    assert [call.outcome for call in ToolCall.objects.order_by("id")] == ["ok"] * 3 + ["too_many_calls"] * 2


def test_a_ceiling_that_was_lowered_holds_for_calls_too(door, settings):
    settings.GATEWAY_CALLS_PER_SECOND, settings.AGENT_MAX_CALLS_PER_TURN = 100, 1
    assert door.call("lookup_catalog", {"ids": ["var_1"]}).status_code == 200
    answer = door.call("lookup_catalog", {"ids": ["var_1"]}).json()
    assert (answer["code"], answer["title"]) == (
        "too_many_calls",
        "A turn of this agent has at most 1 calls.",
    )


def test_calls_come_not_too_fast(door, settings):
    settings.GATEWAY_CALLS_PER_SECOND = 0
    assert door.call("lookup_catalog", {"ids": ["var_1"]}).json()["code"] == "too_fast"


def test_the_profile_needs_consent_that_is_still_given(door, turn, shopper):
    describe_shopper(
        shopper=shopper, country="DE", birth_year=1990, facts={"sizes": ["M"], "likes": ["linen"]}
    )
    assert door.call("shopper_profile").json()["code"] == "no_consent"
    give_consent(shopper=shopper, scope="profile")
    assert door.call("shopper_profile").json()["code"] == "no_consent"
    turn.conversation.consents = ["profile"]
    turn.conversation.save()
    told = door.call("shopper_profile").json()
    assert told["sizes"] == ["M"]
    assert told["pseudonym"].startswith("sh_")
    assert not {"sam", str(shopper.pk), "1990", "example.com"} & set(json.dumps(told).lower().split('"'))
    withdraw_consent(shopper=shopper, scope="profile")
    assert door.call("shopper_profile").json()["code"] == "no_consent"


def test_the_trace_is_shortened(door):
    door.call("recommend", {"variant_id": "var_1", "reason": "x" * 1900})
    assert len(ToolCall.objects.get().arguments["reason"]) < 400


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("search_catalog", '{"query": "\\ud800"}'),
        ("search_catalog", '{"filters": {"categories": ["\\u0000"]}}'),
        ("search_catalog", '{"filters": {"brands": 5}}'),
        (
            "get_product",
            json.dumps({"id": "var_1", "selected": [{"name": "a", "label": "b"}] * 21}),
        ),
        ("lookup_catalog", '{"ids": ["\\u0000"], "context": %s}' % ("[" * 700 + "]" * 700)),
    ],
)
def test_the_catalogues_tools_refuse_what_its_other_doors_refuse(door, tool, arguments):
    assert door.post(f"/v1/tools/{tool}", arguments).status_code == 400
    call = '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "%s", "arguments": %s}}'
    assert door.post("/mcp", call % (tool, arguments)).json()["result"]["isError"]


@pytest.mark.parametrize(
    "arguments",
    [
        '{"variant_id": "var_\\ud800", "reason": "half a pair: \\udfff\\u0000"}',
        '{"variant_id": "var_1", "reason": "x", "price": NaN}',
        '{"variant_id": "var_1", "reason": "x", "\\ud800\\u0000": Infinity}',
        '{"variant_id": "' + "9" * 4000 + '", "reason": "x"}',
        '{"variant_id": {"a": [[[[[[[[]]]]]]]]}, "reason": 1e999}',
    ],
)
def test_what_cannot_be_stored_is_refused_and_still_in_the_trace(door, arguments):
    answer = door.post("/v1/tools/recommend", arguments)
    assert answer.status_code in (400, 422)
    assert ToolCall.objects.count() == 1
