"""kill -9 in the middle of a turn or of a payment: nothing is billed twice, nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import SHOPPER, sign_in, wait
from tests.e2e.test_story import (
    checkout_of,
    conversation_of,
    fill_address,
    is_paid,
    say,
    until_done,
    wait_for_cart,
)
from tests.look.axe import watch
from tests.stack import StoreUnderTest


@pytest.fixture
def in_the_middle(people: Any, agents: StoreUnderTest) -> Any:
    """A page whose agent has shown a card and goes on talking."""
    page = people(None)
    page.goto("/agents/slowpoke/")
    page.get_by_role("button", name="Start a conversation").click()
    page.wait_for_url("**/chat/**")
    say(page, "Anything, slowly")
    page.locator("[data-card]").first.wait_for()
    return page


def kill_web(store: StoreUnderTest) -> None:
    store.kill("web")
    store.start(["web"])


def kill_sandbox(store: StoreUnderTest) -> None:
    assert store.call("tests.e2e.world.kill_sandboxes")


def kill_gateway_and_worker(store: StoreUnderTest) -> None:
    store.kill("web")
    store.kill("worker")
    store.kill("gateway")
    store.start(["gateway", "worker", "web"])


def kill_postgres(store: StoreUnderTest) -> None:
    store.kill_server("postgres")
    store.services.start()


@pytest.mark.parametrize("strike", [kill_web, kill_sandbox, kill_gateway_and_worker, kill_postgres])
def test_a_turn_that_is_cut_off_ends_and_keeps_what_it_showed(
    in_the_middle: Any, agents: StoreUnderTest, strike: Callable[[StoreUnderTest], None]
):
    conversation = conversation_of(in_the_middle)
    before = fees_of(agents, conversation)
    assert len(before) == 1
    strike(agents)

    def ended() -> bool:
        return (
            agents.sql(
                "SELECT 1 FROM shopping_turn WHERE conversation_id = %s AND status = 'running'",
                [conversation],
            )
            == []
        )

    wait(ended, "the turn is ended", seconds=90)
    in_the_middle.goto(f"/chat/{conversation}/")
    assert in_the_middle.locator("[data-card]").count() == 1
    say(in_the_middle, "Again, briefly")
    until_done(in_the_middle)
    wait(
        lambda: (
            agents.sql(
                "SELECT count(*) FROM shopping_turn WHERE conversation_id = %s AND status = 'done'",
                [conversation],
            )
            >= [(1,)]
        ),
        "the next turn is answered",
    )
    assert fees_of(agents, conversation) == before
    assert agents.call("tests.e2e.world.books")["sum"] == 0


@pytest.mark.parametrize("names", [["worker"], ["web"], ["worker", "standin"]], ids="+".join)
def test_a_payment_whose_webhook_is_cut_off_is_settled_once(
    people: Any, agents: StoreUnderTest, names: list[str]
):
    page = people(None)
    page.goto("/agents/slowpoke/")
    page.get_by_role("button", name="Start a conversation").click()
    page.wait_for_url("**/chat/**")
    conversation = conversation_of(page)
    say(page, "Anything, briefly")
    page.locator("[data-card]").first.wait_for()
    until_done(page)
    card = page.locator("[data-card]").first
    card.get_by_role("button", name=re.compile("Add to cart")).click()
    wait_for_cart(agents, conversation)
    page.goto("/cart/")
    page.get_by_role("link", name="Check out").click()
    sign_in(page, SHOPPER)
    page.goto("/checkout/")
    fill_address(page)
    page.get_by_role("button", name="Go on to payment").click()
    page.locator("input[value=pm_card_visa]").check()
    checkout = checkout_of(page)
    if "worker" in names:
        agents.kill("worker")
    page.get_by_role("button", name=re.compile("^Pay")).click(no_wait_after=True)
    wait(
        lambda: agents.sql("SELECT payment_ref FROM shopping_checkout WHERE id = %s", [checkout]) != [("",)],
        "the payment is with the processor",
    )
    for name in names:
        agents.kill(name)
    agents.start(names)
    # Another tab: the first may yet be led to its order.
    page = watch(page.context.new_page())
    page.goto(f"/checkout/{checkout}/")
    if page.get_by_role("button", name=re.compile("^Pay")).count():
        page.locator("input[value=pm_card_visa]").check()
        page.get_by_role("button", name=re.compile("^Pay")).click()
    wait(lambda: is_paid(agents, checkout), "the order is paid", seconds=120)
    lines = agents.sql(
        "SELECT l.id FROM shopping_orderline l JOIN shopping_order o ON o.id = l.order_id"
        " WHERE o.checkout_id = %s",
        [checkout],
    )
    assert lines
    for (line,) in lines:
        taxes = agents.sql(
            "SELECT count(*) FROM billing_usageevent WHERE kind = 'agent_tax' AND line_ref = %s",
            [f"line:{line}"],
        )
        assert taxes == [(1,)]
    sales = agents.sql(
        "SELECT count(*) FROM billing_journal WHERE idempotency_key LIKE ANY (SELECT '%%' || id || '%%' FROM"
        " shopping_order WHERE checkout_id = %s) AND kind NOT LIKE '%%fee%%'",
        [checkout],
    )
    assert sales == [(1,)]
    assert agents.call("tests.e2e.world.books")["sum"] == 0


def fees_of(store: StoreUnderTest, conversation: str) -> list[tuple[Any, ...]]:
    """The PPCv events of a conversation: id and amount."""
    return store.sql(
        "SELECT id, amount_micros FROM billing_usageevent WHERE kind = 'ppcv' AND conversation_ref LIKE %s",
        ["%" + conversation],
    )
