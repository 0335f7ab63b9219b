"""What an account has at Stripe: its balance and the transactions that make it up."""

from __future__ import annotations

from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import ACCOUNT, Answer, ApiError, Call, listing

PAYOUT_DELAY_SECONDS = 2 * 86_400


def record(
    call: Call,
    source: Object,
    *,
    amount: int,
    type_: str,
    fee: int = 0,
    delay: int = PAYOUT_DELAY_SECONDS,
    account: str | None = None,
    category: str = "",
) -> Object:
    """A movement of a balance: what came in or went out, and what Stripe keeps of it.

    `category` is how Stripe's reports call it, where that is not its type.
    """
    details = []
    if fee:
        details = [
            {
                "amount": fee,
                "application": None,
                "currency": source["currency"],
                "description": "Stripe processing fees",
                "type": "stripe_fee",
            }
        ]
    owner = call.account if account is None else account
    return call.store.put(
        {
            "id": call.store.new_id("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": call.now + delay,
            "balance_type": "payments",
            "created": call.now,
            "currency": source["currency"],
            "description": None,
            "exchange_rate": None,
            "fee": fee,
            "fee_details": details,
            "net": amount - fee,
            "reporting_category": category or type_,
            "source": source["id"],
            "status": "pending" if delay else "available",
            "type": type_,
            **({ACCOUNT: owner} if owner else {}),
        }
    )


def available(call: Call, currency: str, account: str | None = None) -> int:
    """What may be sent on now, in minor units. What goes out counts at once, what comes in when it settled."""
    owner = call.account if account is None else account
    moved = call.store.every("balance_transaction", owner, currency=currency)
    return sum(it["net"] for it in moved if it["net"] < 0 or it["available_on"] <= call.now)


def require(call: Call, amount: int, currency: str, account: str | None = None) -> None:
    """Refuse what the balance does not cover."""
    if amount > available(call, currency, account):
        raise ApiError(
            400,
            "invalid_request_error",
            "You have insufficient available funds in your Stripe account.",
            code="balance_insufficient",
        )


def read(call: Call) -> Answer:
    """GET /v1/balance"""
    moved = call.store.every("balance_transaction", call.account)
    currencies = sorted({str(it["currency"]) for it in moved}) or ["usd"]

    def amounts(*, settled: bool) -> list[Object]:
        sums = []
        for currency in currencies:
            ready = available(call, currency)
            whole = sum(it["net"] for it in moved if it["currency"] == currency)
            sums.append({"amount": ready if settled else whole - ready, "currency": currency})
        return sums

    return 200, {
        "object": "balance",
        "available": amounts(settled=True),
        "livemode": False,
        "pending": amounts(settled=False),
    }


def _settle(call: Call, thing: Object) -> Object:
    """A transaction becomes available when the clock says so."""
    if thing["available_on"] <= call.now:
        thing["status"] = "available"
    return thing


def retrieve(call: Call) -> Answer:
    """GET /v1/balance_transactions/{id}"""
    return 200, _settle(call, call.find("balance_transaction", call.ids[0]))


def list_transactions(call: Call) -> Answer:
    """GET /v1/balance_transactions"""
    status, page = listing(
        call, "balance_transaction", "/v1/balance_transactions", "source", "type", "currency", "payout"
    )
    page["data"] = [_settle(call, thing) for thing in page["data"]]
    return status, page
