"""What the end-to-end tests ask of the store from inside it, in a process of their own (`store.call`)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.models import Sum

from agentstore.demo.publish import publish_agent
from agentstore.demo.story import ensure_prices
from agentstore.identity.models import Organization
from agentstore.kit.money import Money
from billing.budgets import set_budget
from billing.models import Account, Entry, MerchantBudget, UsageEvent
from sandbox.drivers import present_drivers
from sandbox.places import stack_name


def furnish(*, goods: int, owner: str, cap_micros: int) -> int:
    """Prices, goods of several merchants with a budget each, and the base image; how many merchants there are.

    In one process: a command of its own for each takes longer to start than to do it.
    """
    ensure_prices()
    call_command("seed_catalog", "--limit", str(goods), "--owner", owner)
    call_command("build_base_image")
    return set_budgets(cap_micros=cap_micros)


def set_budgets(*, cap_micros: int) -> int:
    """A PPCv budget for each merchant; how many there are."""
    merchants = Organization.objects.merchants()
    for merchant in merchants:
        set_budget(
            merchant_ref=merchant.ref, cap=Money(cap_micros, settings.STORE_CURRENCY),
            at_cap=MerchantBudget.AtCap.ORGANIC, by="test", reason="to have one",
        )  # fmt: skip
    return len(merchants)


def publish(*, sources: list[str], site_url: str) -> list[str]:
    """Bring agents live side by side, as their developer and the operator would, over HTTP."""

    def publish_one(source: str) -> str:
        try:
            return publish_agent(site_url=site_url, source=Path(source), say=lambda line: None)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(sources)) as pool:
        return list(pool.map(publish_one, sources))


def books() -> dict[str, Any]:
    """Balances per kind and owner in micro-units (debit positive), usage events, and whether all balances."""
    balances: dict[str, int] = {}
    rows = Entry.objects.values("account_id").annotate(total=Sum("amount"))
    accounts = Account.objects.in_bulk([row["account_id"] for row in rows])
    for row in rows:
        account = accounts[row["account_id"]]
        balances[f"{account.kind} {account.owner_ref}"] = int(row["total"])
    events = UsageEvent.objects.order_by("recorded_at").values(
        "kind", "conversation_ref", "merchant_ref", "developer_ref", "base_micros", "amount_micros",
        "developer_share_micros", "status",
    )  # fmt: skip
    return {"balances": balances, "events": list(events), "sum": sum(balances.values())}


def drivers() -> list[str]:
    """The sandbox drivers that this machine has."""
    return [driver.name for driver in present_drivers()]


def kill_sandboxes() -> int:
    """End all sandboxes behind the store's back, as an administrator might; how many there were."""
    killed = 0
    for driver in present_drivers():
        for found in driver.list_sandboxes(stack_name()):
            driver.stop(found.handle)
            killed += 1
    return killed


def running_sandboxes() -> list[str]:
    """The ids of what runs for this store."""
    found = [one for driver in present_drivers() for one in driver.list_sandboxes(stack_name())]
    return [str(sandbox.sandbox_id) for sandbox in found]
