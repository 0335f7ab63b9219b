"""A toolbox over MCP, driven by the protocol's own client."""

import json

import httpx
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.test import Client as DjangoClient
from django.test import override_settings
from django.urls import path
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from agentstore.kit.errors import Refused, Unauthenticated
from agentstore.kit.mcp import Tool, Toolbox, mcp_view


def add(context, arguments):
    return {"sum": arguments["a"] + arguments["b"], "caller": context}


def refuse(context, arguments):
    raise Refused("Not today.", hint="Come back tomorrow.")


def break_down(context, arguments):
    raise RuntimeError("secret detail")


NUMBERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
TOOLBOX = Toolbox(
    name="sums",
    version="1",
    instructions="Adds.",
    tools=[
        Tool(name="add", description="Adds two numbers.", input_schema=NUMBERS, handler=add),
        Tool(name="refuse", description="Refuses.", input_schema={"type": "object"}, handler=refuse),
        Tool(name="fail", description="Fails.", input_schema={"type": "object"}, handler=break_down),
    ],
)


def who(request):
    if request.headers.get("Authorization") != "Bearer good":
        raise Unauthenticated("Bring a token.")
    return "good caller"


urlpatterns = [path("mcp", mcp_view(TOOLBOX, context=who))]
pytestmark = pytest.mark.urls(__name__)


def session(mode):
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=ASGIHandler()),  # type: ignore[arg-type]  # Django types its scope as a dict
        base_url="http://testserver",
        headers={"Authorization": "Bearer good"},
    )
    channel = streamable_http_client("http://testserver/mcp", http_client=http)  # type: ignore[arg-type]  # same interface
    return Client(channel, mode=mode)


@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
async def test_the_official_client_lists_and_calls(mode):
    async with session(mode) as client:
        listed = await client.list_tools()
        assert [tool.name for tool in listed.tools] == ["add", "refuse", "fail"]
        assert listed.tools[0].input_schema == NUMBERS
        answer = await client.call_tool("add", {"a": 2, "b": 3})
        assert answer.structured_content == {"sum": 5, "caller": "good caller"}
        assert json.loads(answer.content[0].text) == answer.structured_content


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_refusals_reach_the_model_as_typed_problems(mode):
    async with session(mode) as client:
        refused = await client.call_tool("refuse", {})
        assert refused.is_error
        assert refused.structured_content["code"] == "refused"
        assert refused.structured_content["hint"] == "Come back tomorrow."
        wrong = await client.call_tool("add", {"a": "two", "b": 3})
        assert wrong.structured_content["code"] == "invalid_arguments"
        assert "'two'" in wrong.structured_content["title"]
        unknown = await client.call_tool("multiply", {})
        assert unknown.structured_content["code"] == "unknown_tool"


def post(body, **headers):
    return DjangoClient().post(
        "/mcp",
        data=body,
        content_type="application/json",
        headers={"Authorization": "Bearer good", **headers},
    )


def test_what_breaks_inside_stays_inside():
    answer = post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "fail"}})
    assert answer.json()["error"] == {"code": -32603, "message": "Internal error"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, -32700),
        ("[]", 400, -32600),
        ('{"jsonrpc":"2.0","id":true,"method":"ping"}', 400, -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"resources/list"}', 404, -32601),
        ('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}', 400, -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}', 400, -32602),
    ],
)
def test_malformed_requests_get_the_protocols_errors(body, status, code):
    answer = post(body)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code


def test_an_unknown_revision_is_told_which_there_are():
    answer = post(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, **{"MCP-Protocol-Version": "2031-01-01"}
    )
    assert answer.status_code == 400


def test_notifications_are_accepted_and_streams_are_not_offered():
    assert post({"jsonrpc": "2.0", "method": "notifications/initialized"}).status_code == 202
    refused = DjangoClient().get("/mcp")
    assert (refused.status_code, refused["Allow"]) == (405, "POST")


@override_settings(DEBUG=False)
def test_a_stranger_is_refused_before_any_tool():
    answer = DjangoClient().post("/mcp", data={}, content_type="application/json")
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"
