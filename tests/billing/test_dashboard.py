"""The operator's dashboard: its figures are the ledger's, whatever happened; each leads to its journals."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import Sum
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from agentstore.kit.money import Money
from billing import budgets, chargebacks, ledger, metering, posting
from billing.accounts import merchant_receivable
from billing.dashboard.income import read_income
from billing.dashboard.spans import Span, read_span
from billing.models import Entry, Invoice, Payout, SubjectTotal, UsageEvent
from billing.periods import day_of
from billing.rollups.subjects import largest_subjects, merchant_by_agent, subject_by_day
from billing.sales import SaleLine, post_sale
from billing.verification import verify_books
from tests.billing.conftest import MERCHANT, STUDIO, converse, take_back, usd
from tests.billing.seen import until_all_is_seen
from tests.billing.test_ledger import in_threads
from tests.billing.test_pages import business, text

__all__ = ["business"]

SHOPS = [MERCHANT, "org:33333333-3333-7333-8333-333333333333"]
AGENTS = ["agent:a", "agent:b", ""]
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["talk", "sell", "refund", "void", "roll up"]),
        st.integers(0, 1),
        st.integers(0, 2),
        st.integers(1, 200_000_000),
    ),
    max_size=8,
)


def around_today() -> Span:
    return Span("chosen", day_of(now()) - timedelta(days=1), day_of(now()) + timedelta(days=1), "day")


def live(prices, moves) -> None:
    """Random things in any order; those that cannot happen don't."""
    sold: list[tuple[str, int]] = []
    talked: list[metering.PpcvOutcome] = []
    for move, shop, agent, micros in moves:
        who = {"merchant_ref": SHOPS[shop], "agent_ref": AGENTS[agent], "occurred_at": now()}
        ref = str(uuid.uuid4())
        if move == "talk":
            talked.append(converse(prices, ref, **who))
            posting.post_due_events()
        elif move == "sell":
            metering.meter_agent_tax(
                line_ref=ref, conversation_ref="", developer_ref=STUDIO, category="grocery",
                price_version_id=prices.pk, amount=Money(micros, "USD"), **who,
            )  # fmt: skip
            sold.append((ref, micros))
        elif move == "refund" and sold:
            line_ref, paid = sold.pop()
            refunded = Money(min(paid, micros), "USD")
            metering.reverse_agent_tax(line_ref=line_ref, refunded=refunded, refund_ref=ref)
        elif move == "void" and talked:
            take_back(talked.pop())
        elif move == "roll up":
            ledger.roll_up()


def credited(kind: str) -> int:
    return -(Entry.objects.filter(account__kind=kind).aggregate(x=Sum("amount"))["x"] or 0)


def check_figures() -> None:
    span = around_today()
    income = read_income(currency="USD", span=span)
    assert income.kept == credited("platform_revenue")
    assert income.share == credited("developer_pending")
    assert income.margin == sum(
        credited(kind) for kind in ("platform_revenue", "processor_fees", "dispute_loss", "rounding")
    )
    assert sum(step["Margin"] for step in income.steps.values()) == income.margin
    first, last = span.first, span.last
    for role in ("merchant", "developer", "agent"):
        sums = largest_subjects(role=role, currency="USD", first=first, last=last)
        assert sum(it.kept_micros for it in sums) == income.kept
        assert sum(it.share_micros for it in sums) == income.share
        for it in sums:
            by_day = subject_by_day(role=role, ref=it.ref, currency="USD", first=first, last=last)
            assert sum(day.fee_micros for day in by_day) == it.fee_micros
    for shop in SHOPS:
        events = UsageEvent.objects.filter(merchant_ref=shop, journal__isnull=False)
        stands = [it.amount_micros for it in events if (it.kind, it.status) != ("ppcv", "reversed")]
        rows = merchant_by_agent(merchant_ref=shop, currency="USD", first=first, last=last)
        assert sum(micros for _, _, micros, _ in rows) == sum(stands)


@pytest.mark.django_db(transaction=True)
def test_the_figures_are_the_ledgers_after_any_history(prices, settings):
    settings.PPCV_QUARANTINE_SECONDS = 0
    for shop in SHOPS:
        budgets.set_budget(merchant_ref=shop, cap=usd("1000"), at_cap="organic", by="test")

    @hypothesis_settings(
        max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(moves=MOVES)
    def each_goes_on_in_the_books_of_those_before(moves) -> None:
        live(prices, moves)
        check_figures()

    each_goes_on_in_the_books_of_those_before()
    live(prices, [("talk", 0, 0, 1), ("sell", 1, 1, 10_000_000)])
    until_all_is_seen()
    ledger.roll_up()
    assert not SubjectTotal.objects.filter(journals=0).exists()
    assert SubjectTotal.objects.filter(role="pair", agent_ref="agent:b").exists()
    check_figures()
    assert not [it for it in verify_books() if it.check == "subjects"]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing_subjecttotal SET share_micros = share_micros + 1 WHERE role = 'agent'")
    assert {it.check for it in verify_books()} == {"subjects"}


@pytest.mark.django_db(transaction=True)
def test_the_migrations_give_old_fees_the_same_totals(prices, settings):
    from importlib import import_module

    settings.PPCV_QUARANTINE_SECONDS = 0
    budgets.set_budget(merchant_ref=MERCHANT, cap=usd("1000"), at_cap="organic", by="test")
    live(prices, [("talk", 0, 0, 1), ("talk", 0, 1, 1), ("void", 0, 0, 0), ("sell", 0, 1, 10_000_000)])
    until_all_is_seen()
    ledger.roll_up()
    columns = [field.name for field in SubjectTotal._meta.fields if field.name != "id"]
    kept = set(SubjectTotal.objects.values_list(*columns))
    billing = import_module("billing.migrations.0012_totals_of_before")
    shopping = import_module("marketplace.shopping.migrations.0006_agents_of_fees")
    SubjectTotal.objects.all().delete()
    for sql in (billing.CATCH_UP, shopping.ADD_UP_ANEW):
        with connection.cursor() as cursor:
            cursor.execute(sql)
        assert set(SubjectTotal.objects.values_list(*columns)) == kept
    with connection.cursor() as cursor:
        cursor.execute(billing.CATCH_UP)
    assert set(SubjectTotal.objects.values_list(*columns)) == kept, "the roll-up may have begun before it"


@pytest.mark.django_db(transaction=True)
def test_the_migration_of_old_fees_and_the_roll_up_wait_for_each_other():
    from importlib import import_module

    ledger.roll_up()
    catch_up = import_module("billing.migrations.0012_totals_of_before").CATCH_UP

    def migrate(number: int) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '100ms'")
            cursor.execute(catch_up)

    with transaction.atomic():
        connection.cursor().execute("SELECT FROM billing_rollupmark FOR UPDATE")
        with pytest.raises(OperationalError):
            in_threads(1, migrate)
    in_threads(1, migrate)


def test_spans_of_days_and_what_they_are_compared_with():
    at = datetime(2026, 11, 26, 12, tzinfo=UTC)
    usual = read_span({}, at=at)
    assert (usual.first, usual.last, usual.days, usual.step) == (
        date(2026, 10, 28),
        date(2026, 11, 26),
        30,
        "day",
    )
    assert (usual.before.first, usual.before.last) == (date(2026, 9, 28), date(2026, 10, 27))
    whole = read_span({"period": "before"}, at=at)
    assert (whole.first, whole.last) == (date(2026, 10, 1), date(2026, 10, 31))
    assert (whole.before.first, whole.before.last) == (date(2026, 9, 1), date(2026, 9, 30))
    year = read_span({"first": "2026-01-01", "last": "2026-12-31"}, at=at)
    assert [len(list(year.steps())), year.step, year.before.first] == [12, "month", date(2025, 1, 1)]
    assert read_span({"period": "month", "by": "month"}, at=at).step == "month"
    for wrong in (
        {"first": "2026-02-30", "last": "2026-03-01"},
        {"first": "2026-03-02", "last": "2026-03-01"},
        {"first": "0001-01-01", "last": "0001-01-31"},
        {"first": "9999-12-01", "last": "9999-12-31"},
    ):
        with pytest.raises(Invalid):
            read_span(wrong)


def test_the_operator_sees_what_is_left_of_fees(client, olivia, business):
    client.force_login(olivia)
    euros = SaleLine("line:2", business[0].ref, Money(5_000_000, "EUR"))
    post_sale(order_ref="order:2", payment_ref="pi_2", lines=[euros])
    page = text(client, reverse("billing:operator"))
    for figure in ("$19.60", "$13.72", "$5.88", "30.0% of the fees", "Audio Haus", "Northwind Labs"):
        assert figure in page, figure
    assert f"kind=ppcv&amp;first={around_today().first + timedelta(days=1) - timedelta(days=29)}" in page
    in_euros = text(client, reverse("billing:operator") + "?currency=EUR")
    assert "€5.00" in in_euros
    assert "$" not in in_euros
    assert "No fees in this time" in in_euros
    for wrong in (
        "first=2026-01-02&last=2026-01-01",
        "first=0001-01-01&last=0001-01-02",
        "first=9999-12-31&last=9999-12-31",
    ):
        text(client, f"{reverse('billing:operator')}?{wrong}", 400)
    text(client, f"{reverse('billing:operator')}?first=2000-01-01&last=2000-01-01")
    text(client, f"{reverse('billing:operator')}?first=2999-12-01&last=2999-12-31&by=month")


def test_what_banks_took_of_merchants_is_not_shoppers(client, olivia):
    chargebacks.post_withdrawal(dispute_ref="dp_1", amount=usd("7"), fee=usd("15"))
    chargebacks.post_withdrawal(dispute_ref="dp_2", amount=usd("30"), fee=usd("15"))
    chargebacks.post_top_up_withdrawn(dispute_ref="dp_2", merchant_ref=MERCHANT, amount=usd("30"))
    chargebacks.post_withdrawal(dispute_ref="dp_3", amount=usd("9"), fee=usd("15"))
    ledger.post(
        kind="invoice_disputed",
        idempotency_key="invoice_disputed:dp_3",
        occurred_at=now(),
        entries=[
            ledger.debit(merchant_receivable(MERCHANT, "USD"), 9_000_000),
            ledger.credit(chargebacks.dispute_loss("USD"), 9_000_000),
        ],
    )
    assert read_income(currency="USD", span=around_today()).taken_back == {
        "refund": (0, 0),
        "dispute": (7_000_000, 1),
        "invoice_disputed": (9_000_000, 1),
        "top_up_disputed": (30_000_000, 1),
    }
    client.force_login(olivia)
    page = text(client, reverse("billing:operator"))
    for kind in ("dispute", "invoice_disputed", "top_up_disputed"):
        assert f"kind={kind}&amp;first=" in page


def test_a_figure_leads_to_its_journals(client, olivia, business):
    client.force_login(olivia)
    today = day_of(now())
    books = reverse("billing:ledger")
    assert "agent_tax:line:1" in text(client, f"{books}?kind=agent_tax&first={today}&last={today}")
    earlier = today - timedelta(days=1)
    assert "No journals here" in text(client, f"{books}?kind=agent_tax&first={earlier}&last={earlier}")
    merchant = business[0]
    assert "Audio Haus" in text(client, reverse("billing:usage") + f"?merchant={merchant.ref}&status=posted")
    assert "No usage here" in text(
        client, reverse("billing:usage") + f"?merchant={merchant.ref}&agent=agent:x"
    )


def test_what_is_open_by_age(client, olivia, business):
    merchant, _ = business
    client.force_login(olivia)
    for number, days in enumerate((-5, 3, 45, 75, 200)):
        Invoice.objects.create(
            owner_ref=merchant.ref, currency="USD", status="open", net_minor=1_000 + number, number=f"A-{number}",
            due_at=now() - timedelta(days=days),
        )  # fmt: skip
    page = text(client, reverse("billing:operator"))
    for amount in ("$10.00", "$10.01", "$10.02", "$10.03", "$10.04"):
        assert amount in page
    for age, number in (("not_due", 0), ("1", 1), ("31", 2), ("61", 3), ("91", 4)):
        listed = text(client, reverse("billing:invoices") + f"?age={age}")
        assert [f"A-{other}" in listed for other in range(5)] == [other == number for other in range(5)]
    for number in range(31):
        Invoice.objects.create(
            owner_ref=merchant.ref, currency="USD", status="open", net_minor=1, number=f"B-{number}",
            due_at=now() - timedelta(days=45),
        )  # fmt: skip
    first = client.get(reverse("billing:invoices") + "?age=31")
    cursor = first.context["next_cursor"]
    second = text(client, reverse("billing:invoices") + f"?age=31&cursor={cursor}")
    assert ["A-2" in second, "B-0" in second, "B-1<" in second, "A-1" in second] == [True, True, False, False]
    assert not Payout.objects.exists()
    assert "No payouts yet" in text(client, reverse("billing:payouts") + "?status=failed")


def test_files_have_every_micro_unit_and_no_formula(client, olivia, business):
    merchant, _ = business
    merchant.name = "=HYPERLINK(1)"
    merchant.save()
    client.force_login(olivia)

    def lines(name: str) -> list[str]:
        answer = client.get(reverse("billing:export", args=[name]))
        assert answer.status_code == 200
        return b"".join(answer.streaming_content).decode().splitlines()

    assert any("platform_revenue,ppcv,0,0.075,1,USD" in line for line in lines("totals"))
    assert any(
        line.startswith(f"merchant,{merchant.ref},'=HYPERLINK(1),1,19.6,13.72,5.88")
        for line in lines("subjects")
    )
    assert len(lines("receivables")) == len(lines("held")) == len(lines("payouts")) == 1
    assert client.get(reverse("billing:export", args=["secrets"])).status_code == 404


def test_nobody_else_gets_in(client, charlie, mia, business):
    addresses = [
        reverse("billing:usage"),
        reverse("billing:export", args=["totals"]),
        reverse("billing:operator"),
    ]
    assert {client.get(url).status_code for url in addresses} == {302}
    for person in (charlie, mia):
        client.force_login(person)
        assert {client.get(url).status_code for url in addresses} == {404}
