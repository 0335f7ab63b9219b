"""Connected accounts, transfers and payouts: one contract for Stripe and its stand-in."""

from __future__ import annotations

import pytest

from agentstore.kit.money import Money
from billing.processor import connect, payments, transfers
from billing.processor.client import client
from billing.processor.errors import ProcessorRefused

DAY = 86_400


def cents(amount: int) -> Money:
    return Money.from_minor(amount, "USD")


def new_account(reference: str) -> connect.ConnectedAccount:
    return connect.create_account(reference=reference, country="US", email="alice@example.com")


@pytest.fixture
def account(standin, reference) -> str:
    """An account whose owner has told Stripe all."""
    created = new_account(reference)
    standin.post(f"/accounts/{created.id}/onboard")
    return created.id


@pytest.fixture
def funded(standin, reference):
    payment = payments.create_payment(reference=f"{reference}-funds", amount=cents(100_000))
    payments.confirm_payment(payment_id=payment.id, payment_method="pm_card_bypassPending")


def send(reference: str, account: str, amount: int = 5_000) -> transfers.ProcessorTransfer:
    return transfers.send_transfer(reference=reference, account_id=account, amount=cents(amount))


def pay_out(reference: str, account: str, amount: int = 5_000) -> transfers.ProcessorPayout:
    return transfers.create_payout(reference=reference, account_id=account, amount=cents(amount))


def test_a_new_account_must_say_more_before_it_is_paid(processor, reference):
    account = new_account(reference)
    assert new_account(reference).id == account.id
    assert not account.ready
    assert account.missing
    link = connect.onboarding_link(
        account_id=account.id, return_url="https://example.com/back", refresh_url="https://example.com/again"
    )
    assert link.startswith("http")
    with pytest.raises(ProcessorRefused) as refused:
        send(reference, account.id)
    assert refused.value.details["processor_code"] == "insufficient_capabilities_for_transfer"


def test_what_does_not_exist_is_refused(processor, reference):
    with pytest.raises(ProcessorRefused):
        send(reference, "acct_0000000000000000")
    with pytest.raises(ProcessorRefused):
        transfers.reverse_transfer(transfer_id="tr_none", reference=reference)


def test_onboarding_leads_back_to_the_store(standin, reference):
    account = new_account(reference)
    link = connect.onboarding_link(
        account_id=account.id, return_url="https://example.com/back", refresh_url="https://example.com/again"
    )
    answer = standin.open(link)
    assert (answer.status_code, answer.headers["location"]) == (303, "https://example.com/back")
    assert connect.retrieve_account(account_id=account.id).ready


def test_a_transfer_is_sent_once_and_back_once(funded, account, reference):
    sent = send(reference, account)
    assert send(reference, account).id == sent.id
    balance = client().v1.balance.retrieve({}, {"stripe_account": account})
    assert [part.amount for part in balance.available] == [5_000]
    back = transfers.reverse_transfer(transfer_id=sent.id, reference=reference)
    assert back.returned == cents(5_000)
    assert transfers.reverse_transfer(transfer_id=sent.id, reference=reference) == back


def test_more_than_the_balance_is_not_sent(funded, account, reference):
    with pytest.raises(ProcessorRefused) as refused:
        send(reference, account, 99_999_999)
    assert refused.value.details["processor_code"] == "balance_insufficient"
    send(f"{reference}-2", account)
    with pytest.raises(ProcessorRefused) as refused:
        pay_out(reference, account, 5_001)
    assert refused.value.details["processor_code"] == "balance_insufficient"


def test_what_was_paid_out_can_not_be_taken_back(funded, account, reference):
    sent = send(reference, account)
    pay_out(reference, account)
    with pytest.raises(ProcessorRefused) as refused:
        transfers.reverse_transfer(transfer_id=sent.id, reference=reference)
    assert refused.value.details["processor_code"] == "balance_insufficient"


def test_a_payout_arrives_after_days(standin, funded, account, reference):
    send(reference, account)
    payout = pay_out(reference, account)
    assert pay_out(reference, account).id == payout.id
    assert payout.status == "pending"
    standin.post("/clock", advance=3 * DAY)
    assert transfers.retrieve_payout(payout_id=payout.id, account_id=account).status == "paid"
    with pytest.raises(ProcessorRefused):
        transfers.retrieve_payout(payout_id=payout.id, account_id=new_account(f"{reference}-other").id)


def test_a_bank_that_refuses_gives_the_money_back_and_stops_payouts(standin, funded, account, reference):
    standin.post(f"/accounts/{account}/bank", outcome="fails")
    sent = send(reference, account)
    payout = pay_out(reference, account)
    standin.post("/clock", advance=3 * DAY)
    failed = transfers.retrieve_payout(payout_id=payout.id, account_id=account)
    assert (failed.status, failed.failure) == ("failed", "The bank account has been closed.")
    assert not connect.retrieve_account(account_id=account).payouts
    with pytest.raises(ProcessorRefused) as refused:
        pay_out(f"{reference}-2", account)
    assert refused.value.details["processor_code"] == "payouts_not_allowed"
    assert transfers.reverse_transfer(transfer_id=sent.id, reference=reference).returned == cents(5_000)
    standin.post(f"/accounts/{account}/bank")
    assert connect.retrieve_account(account_id=account).ready


def test_a_connected_accounts_things_are_not_the_platforms(funded, account, reference):
    send(reference, account)
    pay_out(reference, account)
    assert reference not in {
        payout.metadata["reference"]
        for payout in client().v1.payouts.list({"limit": 100}).data
        if payout.metadata
    }
    told = client().v1.events.list({"type": "payout.created", "limit": 1}, {"stripe_account": account}).data
    assert told[0].account == account
