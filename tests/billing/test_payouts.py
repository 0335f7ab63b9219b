"""Payouts: prepared once a month, sent once whatever is killed, brought back when a bank refuses."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from django.db import connection
from django.urls import reverse

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from agentstore.kit.locks import only_one
from billing import earnings, ledger, payout_accounts, payouts
from billing.accounts import platform_revenue, processor_clearing
from billing.models import Journal, Notice, Payout, PayoutAccount, WebhookEvent
from billing.processor import payments, transfers
from billing.processor.client import client, reference_of
from tests.billing.conftest import usd
from tests.billing.inbox import deliver_events, handle_row
from tests.billing.killed_calls import kill_after_each_call
from tests.billing.months import day
from tests.billing.standin import SECRET

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def inbox(settings, monkeypatch, standin):
    from celery import current_app

    settings.STRIPE_WEBHOOK_SECRET = SECRET
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: None)
    funds = payments.create_payment(reference=str(uuid.uuid4()), amount=usd("5000"))
    payments.confirm_payment(payment_id=funds.id, payment_method="pm_card_bypassPending")


@pytest.fixture
def studio_ref() -> str:
    return f"org:{uuid.uuid4()}"


@pytest.fixture
def account(standin, studio_ref) -> PayoutAccount:
    payout_accounts.choose_country(owner_ref=studio_ref, country="us")
    link = payout_accounts.start_onboarding(
        owner_ref=studio_ref,
        email="alice@example.com",
        return_url="https://x.test/",
        refresh_url="https://x.test/",
    )
    standin.open(link)
    found = payout_accounts.refresh_account(owner_ref=studio_ref)
    assert found is not None
    return found


def earn(studio_ref: str, amount: str) -> None:
    """So much becomes available."""
    micros = usd(amount).micros
    ledger.post(
        kind="earning_release",
        idempotency_key=f"test:{uuid.uuid4()}",
        occurred_at=now(),
        entries=[
            ledger.debit(platform_revenue("USD"), micros),
            ledger.credit(earnings.developer_available(studio_ref, "USD"), micros),
        ],
    )


def available(studio_ref: str) -> str:
    return str(-ledger.balance(earnings.developer_available(studio_ref, "USD")))


def prepare(studio_ref: str) -> Payout | None:
    return payouts.prepare_payout(owner_ref=studio_ref, currency="USD")


def arrive(standin, account: PayoutAccount) -> None:
    standin.post("/clock", advance=3 * 86_400)
    deliver_events(account=account.processor_ref)


def test_a_payout_is_made_sent_and_arrives(standin, account, studio_ref):
    earn(studio_ref, "30.004999")
    clearing = ledger.balance(processor_clearing("USD"))
    assert payouts.prepare_due() == 1
    assert available(studio_ref) == "$0.004999", "what is less than a cent stays"
    assert payouts.send_prepared() == 1
    payout = Payout.objects.get()
    assert (payout.status, payout.amount) == ("sent", usd("30"))
    assert clearing - ledger.balance(processor_clearing("USD")) == usd("30")
    arrive(standin, account)
    payout.refresh_from_db()
    assert payout.status == "paid"
    assert [change.status for change in payout.changes.all()] == ["prepared", "sent", "paid"]
    arrive(standin, account)
    for row in WebhookEvent.objects.filter(type="payout.paid"):
        handle_row(row)
    assert payout.changes.count() == 3


def test_a_payout_of_anothers_account_says_nothing_of_it(standin, account, studio_ref):
    earn(studio_ref, "30")
    payout = prepare(studio_ref)
    assert payout is not None
    payouts.send_prepared()
    Payout.objects.update(processor_account="acct_other")
    arrive(standin, account)
    payout.refresh_from_db()
    assert payout.status == "sent"


def test_what_an_accounts_owner_writes_on_a_payout_may_be_no_id(standin, account):
    transfers.send_transfer(reference="gift:1", account_id=account.processor_ref, amount=usd("9"))
    own = client().v1.payouts.create(
        {"amount": 900, "currency": "usd", "metadata": {"reference": "payout:mine"}},
        {"stripe_account": account.processor_ref},
    )
    arrive(standin, account)
    (row,) = WebhookEvent.objects.filter(type="payout.paid", payload__data__object__id=own.id)
    assert row.handled_at


def test_too_little_rolls_over_and_a_month_has_one_payout(account, studio_ref):
    earn(studio_ref, "24.99")
    assert prepare(studio_ref) is None
    assert "rolls over" in payouts.why_not(owner_ref=studio_ref, currency="USD")
    earn(studio_ref, "0.01")
    assert prepare(studio_ref) is not None
    earn(studio_ref, "100")
    assert prepare(studio_ref) is None
    with time_machine.travel(day(12, 27)):
        following = prepare(studio_ref)
    assert following is not None
    assert following.amount == usd("100")


def test_without_a_ready_account_nothing_is_paid_out(standin, studio_ref):
    earn(studio_ref, "100")
    assert prepare(studio_ref) is None
    payout_accounts.choose_country(owner_ref=studio_ref, country="US")
    payout_accounts.start_onboarding(
        owner_ref=studio_ref,
        email="a@example.com",
        return_url="https://x.test/",
        refresh_url="https://x.test/",
    )
    account = payout_accounts.refresh_account(owner_ref=studio_ref)
    assert account is not None
    assert not account.ready
    assert account.missing
    assert prepare(studio_ref) is None
    standin.post(f"/accounts/{account.processor_ref}/onboard")
    deliver_events(account=account.processor_ref)
    assert prepare(studio_ref) is not None, "the processor's event told that it is ready"


def test_a_hold_stops_what_is_prepared_too(account, studio_ref):
    earn(studio_ref, "100")
    payouts.place_hold(owner_ref=studio_ref, reason="fraud?", by="olivia")
    assert prepare(studio_ref) is None
    assert payouts.why_not(owner_ref=studio_ref, currency="USD") == "Payouts are on hold: fraud?"
    payouts.lift_hold(owner_ref=studio_ref, by="olivia")
    payout = prepare(studio_ref)
    assert payout is not None
    payouts.place_hold(owner_ref=studio_ref, reason="again", by="olivia")
    assert payouts.send_payout(payout_id=payout.pk).status == "prepared"
    payouts.lift_hold(owner_ref=studio_ref, by="olivia")
    assert payouts.send_payout(payout_id=payout.pk).status == "sent"


def test_a_bank_that_refuses_brings_the_money_back(standin, account, studio_ref):
    earn(studio_ref, "40")
    standin.post(f"/accounts/{account.processor_ref}/bank", outcome="fails")
    prepare(studio_ref)
    payouts.send_prepared()
    arrive(standin, account)
    payout = Payout.objects.get()
    assert (payout.status, payout.failure) == ("failed", "The bank account has been closed.")
    assert Notice.objects.filter(owner_ref=studio_ref).count() == 1
    assert prepare(studio_ref) is None
    assert payouts.send_prepared() == 1
    payout.refresh_from_db()
    assert payout.status == "returned"
    assert available(studio_ref) == "$40.00"
    account.refresh_from_db()
    assert not account.ready
    standin.post(f"/accounts/{account.processor_ref}/bank")
    deliver_events(account=account.processor_ref)
    assert prepare(studio_ref) is not None, "another bank account, another try in the same month"


def test_a_store_that_has_not_enough_at_the_processor_tries_again(standin, account, studio_ref):
    earn(studio_ref, "900000")
    payout = prepare(studio_ref)
    assert payout is not None
    assert payouts.send_prepared() == 0
    payout.refresh_from_db()
    assert (payout.status, payout.transfer_ref) == ("prepared", "")
    assert "insufficient" in payout.last_error


def test_what_the_processor_refuses_for_good_is_available_again(standin, account, studio_ref):
    earn(studio_ref, "60")
    prepare(studio_ref)
    standin.post(f"/accounts/{account.processor_ref}/reject")
    payouts.send_prepared()
    payout = Payout.objects.get()
    assert (payout.status, payout.attempts) == ("returned", 1)
    assert "capabilities" in payout.failure
    assert available(studio_ref) == "$60.00"
    assert Notice.objects.get(owner_ref=studio_ref).key == f"payout_failed:{payout.pk}"
    assert prepare(studio_ref) is None, "nothing more until the processor says that the account is ready"
    assert payouts.send_prepared() == 0


def test_an_account_that_is_closed_after_the_transfer_gives_it_back(standin, account, studio_ref):
    earn(studio_ref, "60")
    payout = prepare(studio_ref)
    assert payout is not None
    transfers.send_transfer(
        reference=f"payout:{payout.pk}", account_id=account.processor_ref, amount=payout.amount
    )
    standin.post(f"/accounts/{account.processor_ref}/reject")
    killed = kill_after_each_call("from billing import payouts", "payouts.send_prepared()")
    assert [path.rsplit("/", 1)[1] for path in killed] == ["payouts", "reversals"]
    payout.refresh_from_db()
    assert payout.status == "returned"
    assert client().v1.transfers.retrieve(payout.transfer_ref).reversed
    assert available(studio_ref) == "$60.00"


def test_an_account_that_the_processor_does_not_know_any_more(account, studio_ref):
    earn(studio_ref, "60")
    payout = prepare(studio_ref)
    Payout.objects.update(processor_account="acct_gone")
    payouts.send_prepared()
    assert payout is not None
    payout.refresh_from_db()
    assert payout.status == "returned"


def test_a_payout_that_was_not_sent_can_be_cancelled(account, studio_ref):
    earn(studio_ref, "60")
    payout = prepare(studio_ref)
    assert payout is not None
    with pytest.raises(Invalid):
        payouts.cancel_payout(payout_id=payout.pk, by="olivia", reason=" ")
    cancelled = payouts.cancel_payout(payout_id=payout.pk, by="olivia", reason="a wrong share")
    assert (cancelled.status, available(studio_ref)) == ("returned", "$60.00")
    assert [(it.status, it.by) for it in payout.changes.all()] == [
        ("prepared", "payouts"),
        ("returned", "olivia"),
    ]
    assert payouts.send_payout(payout_id=payout.pk).status == "returned"
    assert prepare(studio_ref) is None, "on hold, or the next hour would prepare it again"
    with pytest.raises(payouts.NotCancelled):
        payouts.cancel_payout(payout_id=payout.pk, by="olivia", reason="again")
    payouts.lift_hold(owner_ref=studio_ref, by="olivia")
    assert prepare(studio_ref) is not None


def test_a_payout_whose_money_has_left_is_not_cancelled(account, studio_ref):
    earn(studio_ref, "60")
    payout = prepare(studio_ref)
    assert payout is not None
    transfers.send_transfer(
        reference=f"payout:{payout.pk}", account_id=account.processor_ref, amount=payout.amount
    )
    with pytest.raises(payouts.NotCancelled):
        payouts.cancel_payout(payout_id=payout.pk, by="olivia", reason="too late")
    assert payouts.send_payout(payout_id=payout.pk).status == "sent"
    with pytest.raises(payouts.NotCancelled):
        payouts.cancel_payout(payout_id=payout.pk, by="olivia", reason="too late")


def test_what_is_being_sent_is_neither_sent_again_nor_cancelled(account, studio_ref):
    earn(studio_ref, "60")
    payout = prepare(studio_ref)
    assert payout is not None
    with only_one(payout.pk), ThreadPoolExecutor(1) as elsewhere:
        assert elsewhere.submit(on_its_own, payouts.send_payout, payout_id=payout.pk).result().attempts == 0
        cancel = elsewhere.submit(
            on_its_own, payouts.cancel_payout, payout_id=payout.pk, by="olivia", reason="stop"
        )
        with pytest.raises(payouts.NotCancelled):
            cancel.result()


def on_its_own(call, **arguments):
    """The call, over a connection of its own that is closed after it."""
    try:
        return call(**arguments)
    finally:
        connection.close()


def test_killed_after_each_of_its_calls_it_pays_once(account, studio_ref):
    earn(studio_ref, "50")
    killed = kill_after_each_call(
        "from billing import payouts", "payouts.prepare_due(); payouts.send_prepared()"
    )
    assert killed == ["/v1/transfers", "/v1/payouts"]
    payout = Payout.objects.get()
    assert payout.status == "sent"
    made = client().v1.transfers.list({"destination": account.processor_ref}).data
    assert [(it.id, it.amount) for it in made] == [(payout.transfer_ref, 5_000)]
    sent = client().v1.payouts.list({}, {"stripe_account": account.processor_ref}).data
    assert [(it.id, reference_of(it)) for it in sent] == [(payout.processor_ref, f"payout:{payout.pk}")]
    assert Journal.objects.filter(kind="payout").count() == 1


def test_killed_while_it_brings_money_back_it_does_so_once(standin, account, studio_ref):
    earn(studio_ref, "50")
    standin.post(f"/accounts/{account.processor_ref}/bank", outcome="fails")
    prepare(studio_ref)
    payouts.send_prepared()
    arrive(standin, account)
    killed = kill_after_each_call("from billing import payouts", "payouts.send_prepared()")
    assert [path.rsplit("/", 1)[1] for path in killed] == ["reversals"]
    assert available(studio_ref) == "$50.00"
    transfer = client().v1.transfers.retrieve(Payout.objects.get().transfer_ref)
    assert transfer.amount_reversed == 5_000
    assert Journal.objects.filter(kind="payout_reversal").count() == 1


def test_the_studios_page(client, standin, studio, alice, bob, charlie, settings):
    page = reverse("billing:earnings", args=[studio.slug])
    theirs = [
        reverse(f"billing:{name}", args=[studio.slug])
        for name in ("payout_country", "onboarding", "onboarded")
    ]
    client.force_login(charlie)
    assert client.post(theirs[0], {"country": "US"}).status_code == 404
    assert [client.get(url).status_code for url in theirs[1:]] == [404, 404]
    client.force_login(bob)
    assert client.post(theirs[0], {"country": "US"}).status_code == 403
    assert [client.get(url).status_code for url in theirs[1:]] == [403, 403]
    client.force_login(alice)
    assert "Set up payouts" in str(client.get(page).content, "utf-8")
    assert client.get(theirs[1]).status_code == 409, "a country first"
    client.post(theirs[0], {"country": "us"})
    assert "Go on at the payment processor" in str(client.get(page).content, "utf-8")
    away = client.get(theirs[1])
    back = standin.open(away.url).headers["location"]
    assert back.endswith(theirs[2])
    client.get(theirs[2])
    assert PayoutAccount.objects.get(owner_ref=studio.ref).ready
    assert "rolls over" in str(client.get(page).content, "utf-8")


def test_the_operators_payouts(client, account, studio_ref, olivia, alice):
    earn(studio_ref, "50")
    prepare(studio_ref)
    page, hold = reverse("billing:payouts"), reverse("billing:payout_hold")
    cancel = reverse("billing:cancel_payout", args=[Payout.objects.get().pk])
    client.force_login(alice)
    assert client.get(page).status_code == 404
    assert client.post(cancel, {"reason": "mine"}).status_code == 404
    assert client.post(hold, {"owner_ref": studio_ref}).status_code == 404
    client.force_login(olivia)
    assert "$50.00" in str(client.get(page).content, "utf-8")
    client.post(hold, {"owner_ref": studio_ref, "reason": "strange"})
    assert "strange" in str(client.get(page).content, "utf-8")
    client.post(hold, {"owner_ref": studio_ref, "lift": "1"})
    assert "strange" not in str(client.get(page).content, "utf-8")
    assert client.post(cancel, {"reason": ""}).status_code == 400
    assert client.post(cancel, {"reason": "a wrong share"}).status_code == 302
    shown = str(client.get(page).content, "utf-8")
    assert "Returned" in shown
    assert "a wrong share" in shown
    assert client.post(cancel, {"reason": "again"}).status_code == 409


def test_the_operator_is_told_of_payouts_that_were_refused(client, standin, account, studio_ref, olivia):
    client.force_login(olivia)
    overview = reverse("billing:operator")
    assert "payout was refused" not in str(client.get(overview).content, "utf-8")
    earn(studio_ref, "60")
    prepare(studio_ref)
    standin.post(f"/accounts/{account.processor_ref}/reject")
    payouts.send_prepared()
    assert "1 payout was refused" in str(client.get(overview).content, "utf-8")
