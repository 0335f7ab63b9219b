from __future__ import annotations

import http.client
import json
import threading
import zipfile
from io import BytesIO

import pytest
from agentstore_sdk import Refused, Store, Unreachable
from agentstore_sdk.cli import main
from agentstore_sdk.manifest import _RESOURCES, problems_of
from agentstore_sdk.server import make_server
from hypothesis import given
from hypothesis import strategies as st

from marketplace.publishing.errors import ManifestInvalid
from marketplace.publishing.manifest import parse_manifest
from tests.agents.conftest import TOKEN, product
from tests.bundles import AGENTS, manifest_text, pack_agent


@pytest.fixture
def serving(store):
    servers = []

    def start(answer):
        server = make_server(answer, port=0, store=store)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def invoke(connection, **turn) -> list[str]:
    connection.request("POST", "/invocations", json.dumps(turn), {"Content-Type": "application/json"})
    body = connection.getresponse().read().decode()
    return [line.removeprefix("data: ") for line in body.splitlines() if line]


def test_ping_says_healthy(serving):
    connection = serving(lambda turn: "")
    connection.request("GET", "/ping")
    assert json.load(connection.getresponse()) == {"status": "Healthy"}


def test_a_proposal_says_what_is_meant(gateway, store):
    gateway.asks = {"off_7": [1000, 990]}
    store.negotiate("off_7", 900, quantity=2, argument="For a student", idempotency_key="one")
    store.negotiate("off_7", 950)
    assert [arguments for _, arguments in gateway.calls] == [
        {
            "offer_id": "off_7", "proposed_amount": 900, "quantity": 2, "argument": "For a student",
            "idempotency_key": "one",
        },
        {"offer_id": "off_7", "proposed_amount": 950, "quantity": 1},
    ]  # fmt: skip


def test_an_answer_is_streamed_piece_by_piece(serving):
    def answer(turn):
        yield f"You said {turn.prompt}"
        yield f" after {turn.earlier}"

    events = invoke(
        serving(answer),
        prompt="b",
        messages=[{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    )
    assert [json.loads(event)["text"] for event in events[:-1]] == ["You said b", " after ['a']"]
    assert events[-1] == "[DONE]"


def test_an_exception_ends_the_answer_with_an_error(serving):
    def answer(turn):
        yield "Well, "
        raise ValueError("broken")

    assert "ValueError: broken" in json.loads(invoke(serving(answer), prompt="x")[-1])["error"]


def test_the_store_answers_refuses_or_is_away(store, gateway):
    gateway.products = [product(1, "Lamp", 1000, rating=4.0)]
    (found,) = store.search_catalog("lamp", max_price=2000).products
    assert (found.title, found.variants[0].price, found.rating) == ("Lamp", 1000, 4.0)
    assert gateway.calls[0][1]["filters"] == {"price": {"max": 2000}}
    assert gateway.calls[0][1]["fields"] == ["products"], "facets cost the store, and nobody here shows them"
    with pytest.raises(Refused) as refused:
        store.recommend("var_404", reason="It is not there.")
    assert (refused.value.code, refused.value.status) == ("unknown_variant", 422)
    with pytest.raises(Refused, match="run token"):
        Store(gateway.url, "another token").call("search_catalog")
    gateway.away = True
    with pytest.raises(Unreachable):
        store.search_catalog("lamp")
    with pytest.raises(Unreachable):
        Store("http://127.0.0.1:1", TOKEN).search_catalog("lamp")


def test_init_validate_pack(tmp_path, capsys, monkeypatch):
    directory = tmp_path / "lamp-finder"
    assert main(["init", str(directory)]) == 0
    assert main(["init", str(directory)]) == 1, "nothing is overwritten"
    assert main(["validate", str(directory)]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["pack", str(directory)]) == 0
    names = zipfile.ZipFile(tmp_path / "lamp-finder-0.1.0.zip").namelist()
    assert {"agent.toml", "main.py", "agentstore_sdk/store.py"} <= set(names)
    (directory / "agent.toml").write_text('name = "x"')
    assert main(["validate", str(directory)]) == 1
    assert "slug: is missing" in capsys.readouterr().err


def test_the_same_agent_packs_to_the_same_bytes_without_litter(tmp_path):
    assert pack_agent("concierge") == pack_agent("concierge")
    names = zipfile.ZipFile(BytesIO(pack_agent("concierge"))).namelist()
    assert "concierge/conversation.py" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert (AGENTS / "concierge" / "agent.toml").is_file()


CHANGES = st.dictionaries(
    st.sampled_from(
        ["name", "slug", "version", "tagline", "protocol", "skills", "runtime", "command", *_RESOURCES]
    ),
    st.sampled_from(["", "1", '"x"', '"1.0.0"', '"python"', '["chat"]', '["nope"]', "-1"]),
    max_size=3,
)


@given(CHANGES)
def test_what_the_command_passes_wrongly_is_never_what_the_store_accepts(changes):
    """The command may be laxer than the store (it knows no ceilings), never stricter."""
    import tomllib

    text = manifest_text(**changes)
    try:
        parse_manifest(text.encode(), kind="source")
    except ManifestInvalid:
        return
    assert problems_of(tomllib.loads(text), is_image=False) == []
