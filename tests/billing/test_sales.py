"""Orders and refunds on the books."""

from __future__ import annotations

import pytest

from agentstore.kit.errors import Invalid
from billing import ledger
from billing.accounts import merchant_wallet, processor_clearing, processor_fees
from billing.errors import IdempotencyMismatch, RefundExceedsSale
from billing.models import Journal
from billing.sales import SaleLine, post_refund, post_sale
from tests.billing.conftest import MERCHANT, usd

LINES = [SaleLine("line:1", MERCHANT, usd("129")), SaleLine("line:2", "org:other", usd("20"))]


def sell(**changes) -> Journal:
    return post_sale(**{"order_ref": "order:1", "payment_ref": "pi_1", "lines": LINES, **changes})


def refund(amount: str, ref: str = "r1", merchant: str = MERCHANT) -> Journal:
    return post_refund(refund_ref=ref, order_ref="order:1", lines=[SaleLine("line:1", merchant, usd(amount))])


def test_an_order_is_booked_once_and_its_fee_when_it_is_known(db):
    assert sell() == sell()
    sell(fee=usd("4.62"))
    sell(fee=usd("4.62"))
    assert Journal.objects.count() == 2
    assert ledger.balance(processor_clearing("USD")) == usd("144.38")
    assert ledger.balance(processor_fees("USD")) == usd("4.62")
    assert ledger.balance(merchant_wallet(MERCHANT, "USD")) == usd("-129")
    assert ledger.balance(merchant_wallet("org:other", "USD")) == usd("-20")


def test_an_order_can_not_change_under_its_key(db):
    sell()
    with pytest.raises(IdempotencyMismatch):
        sell(lines=LINES[:1])


def test_refunds_come_off_once_each_and_never_exceed_the_sale(db):
    sale = sell()
    assert refund("100").reverses == sale
    assert refund("100") == refund("100")
    with pytest.raises(RefundExceedsSale):
        refund("29.000001", "r2")
    refund("29", "r3")
    assert ledger.balance(merchant_wallet(MERCHANT, "USD")).micros == 0
    assert ledger.balance(processor_clearing("USD")) == usd("20")
    with pytest.raises(RefundExceedsSale):
        refund("1", "r4", merchant="org:stranger")


def test_what_can_not_be_booked(db):
    with pytest.raises(Invalid):
        sell(lines=[])
    with pytest.raises(Invalid):
        sell(lines=[SaleLine("line:1", MERCHANT, usd("-1"))])
    with pytest.raises(RefundExceedsSale):
        refund("1")
