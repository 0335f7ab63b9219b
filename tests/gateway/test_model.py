"""The model proxy: no key for agents, a budget per conversation, streams as streams."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.test import AsyncClient

from agentstore.kit.threads import in_thread
from marketplace.shopping.models import Conversation, ToolCall
from tests.conversations.world import own_socket
from tests.gateway.test_tools import allow

pytestmark = [pytest.mark.urls("marketplace.gateway.urls"), pytest.mark.django_db(transaction=True)]

ASK = {"model": "whatever", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50}


@pytest.fixture(autouse=True)
def _gateway_process(settings):
    settings.MIDDLEWARE = settings.GATEWAY_MIDDLEWARE


class ModelServer:
    """An OpenAI-compatible server that answers by rule and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append((self.path, self.headers["Authorization"], body))
                usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
                self.send_response(200)
                if body.get("stream"):
                    self.send_header("Content-Type", "text/event-stream")
                    self.end_headers()
                    for chunk in (
                        {"choices": [{"delta": {"content": "Hello"}}]},
                        {"choices": [], "usage": usage},
                    ):
                        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                    self.wfile.write(b"data: [DONE]\n\n")
                    return
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                answer = {"choices": [{"message": {"content": "Hello"}}], "usage": usage}
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def model_server(settings):
    server = ModelServer()
    settings.MODEL_BASE_URL = f"http://127.0.0.1:{server.server.server_port}/v1"
    settings.MODEL_API_KEY = "sk-the-operators"
    settings.MODEL_NAME = "small-model"
    yield server
    server.server.shutdown()
    server.server.server_close()


class FromSandbox(AsyncClient):
    """Calls as the gateway's server hands them over: with the sandbox in place of an address."""

    def __init__(self, caller: str) -> None:
        super().__init__()
        self.caller = caller

    async def request(self, **request: Any) -> Any:
        return await super().request(**request, client=[self.caller, 0])


async def ask(token: str, body: dict[str, Any]):
    caller = await in_thread(own_socket, token)
    answer: Any = await FromSandbox(caller).post(
        "/v1/chat/completions", json.dumps(body), content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )  # fmt: skip
    if answer.streaming:
        return answer, b"".join([piece async for piece in aiter(answer)])
    return answer, answer.content


async def test_without_a_model_server_the_answer_is_typed(token):
    answer, content = await ask(token, ASK)
    assert answer.status_code == 503
    assert json.loads(content)["error"]["code"] == "model_unavailable"


async def test_the_operators_key_and_model_are_used_and_usage_counts(token, turn, model_server):
    answer, content = await ask(token, ASK)
    assert answer.status_code == 200
    assert json.loads(content)["choices"][0]["message"]["content"] == "Hello"
    path, key, body = model_server.asked[0]
    assert (path, key, body["model"]) == ("/v1/chat/completions", "Bearer sk-the-operators", "small-model")
    assert token not in json.dumps(model_server.asked)
    conversation = await in_thread(Conversation.objects.get)
    assert conversation.model_tokens == 30
    call = await in_thread(ToolCall.objects.get)
    assert (call.transport, call.outcome, call.result) == ("model", "ok", {"tokens": 30})


async def test_a_stream_is_passed_on_as_one_and_counts(token, model_server):
    answer, content = await ask(token, {**ASK, "stream": True})
    assert answer.streaming
    assert content.endswith(b"data: [DONE]\n\n")
    assert model_server.asked[0][2]["stream_options"] == {"include_usage": True}
    assert (await in_thread(Conversation.objects.get)).model_tokens == 30


async def test_a_spent_budget_asks_nothing_more(token, model_server, settings):
    settings.MODEL_TOKENS_PER_CONVERSATION = 100
    first, _ = await ask(token, ASK)
    second, content = await ask(token, {**ASK, "max_tokens": 90})
    assert (first.status_code, second.status_code) == (200, 429)
    assert json.loads(content)["code"] == "budget_spent"
    assert len(model_server.asked) == 1


async def test_a_call_beyond_the_turns_is_in_the_trace(token, model_server, settings):
    settings.AGENT_MAX_CALLS_PER_TURN = 1
    await ask(token, ASK)
    answer, content = await ask(token, ASK)
    assert (answer.status_code, json.loads(content)["code"]) == (429, "too_many_calls")
    outcomes = await in_thread(
        lambda: list(ToolCall.objects.order_by("id").values_list("outcome", flat=True))
    )
    assert outcomes == ["ok", "too_many_calls"]
    assert len(model_server.asked) == 1


async def test_a_server_that_is_away_costs_nothing(token, settings):
    settings.MODEL_BASE_URL = "http://127.0.0.1:9/v1"
    answer, _ = await ask(token, ASK)
    assert answer.status_code == 503
    assert (await in_thread(Conversation.objects.get)).model_tokens == 0


async def test_the_manifest_must_ask_for_it(token, model_server):
    await in_thread(allow, "catalog")
    answer, content = await ask(token, ASK)
    assert (answer.status_code, json.loads(content)["code"]) == (403, "not_permitted")
    assert not model_server.asked
