"""The running store with people, prices, goods and agents that came in by the public door."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agentstore.demo.people import DEVELOPER, MERCHANT, OPERATOR, PASSWORD, SHOPPER, Person
from agentstore.embedded.processes import wait_until
from tests.bundles import AGENTS, pack_agent
from tests.look.axe import watch
from tests.stack import StoreUnderTest

HERE = Path(__file__).parent
CAP_MICROS = 500_000_000
# Whether the search index knows all goods.
INDEXED = "SELECT EXISTS (SELECT FROM catalog_product) AND NOT EXISTS (SELECT FROM catalog_indexoutbox)"
__all__ = ["DEVELOPER", "MERCHANT", "OPERATOR", "SHOPPER"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker("e2e")
            item.add_marker("containers")


@pytest.fixture(scope="session")
def store(stack: StoreUnderTest) -> StoreUnderTest:
    """Goods of several merchants, each with a budget; no agent yet."""
    if not stack.call("tests.e2e.world.drivers"):
        assert not os.environ.get("CI"), "neither a container engine nor gVisor is here"
        pytest.skip("neither a container engine nor gVisor is here")
    stack.call("tests.e2e.world.furnish", goods=150, owner=MERCHANT.email, cap_micros=CAP_MICROS)
    wait(lambda: stack.sql(INDEXED)[0][0], "the catalogue is indexed", seconds=120)
    return stack


@pytest.fixture(scope="session")
def agents(store: StoreUnderTest) -> StoreUnderTest:
    """The liar and the slow one, published as strangers would."""
    sources = [str(AGENTS / "liar"), str(HERE / "agents" / "slow")]
    store.call("tests.e2e.world.publish", sources=sources, site_url=store.url)
    return store


@pytest.fixture
def people(browser: Any, store: StoreUnderTest) -> Any:
    """`people(SHOPPER)` → a page of a browser of their own, signed in; `people(None)` → nobody's."""
    contexts = []

    def enter(person: Person | None) -> Any:
        context = browser.new_context(base_url=store.url, reduced_motion="reduce")
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = watch(context.new_page())
        if person is not None:
            sign_in(page, person)
        return page

    yield enter
    for context in contexts:
        context.close()


def sign_in(page: Any, person: Person) -> None:
    """Through the sign-in form, back to where it leads."""
    if "/account/login/" not in page.url:
        page.goto("/account/login/")
    page.fill("input[name=login]", person.email)
    page.fill("input[name=password]", PASSWORD)
    page.locator("main form button[type=submit]").first.click()
    page.wait_for_url(lambda url: "/account/login/" not in url)


def wait(happened: Any, what: str, *, seconds: float = 60) -> None:
    """Poll until it is so; fails with what was waited for."""
    assert wait_until(happened, seconds=seconds), f"in {seconds:g} s it was not so that {what}"


def publish_by_hand(page: Any, bundle: Path) -> str:
    """Upload in the browser and wait for the verdict; the submission's id."""
    page.goto("/developer/northwind-labs/submit/")
    page.set_input_files("input[type=file]", str(bundle))
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/submissions/*/")
    page.get_by_text("Waiting for an operator").first.wait_for(timeout=240_000)
    return str(page.url).rstrip("/").rsplit("/", 1)[1]


def packed(name: str, directory: Path) -> Path:
    """The bundle of a first-party agent as a file."""
    path = directory / f"{name}.zip"
    path.write_bytes(pack_agent(name))
    return path
