"""Payouts from an account's balance, or the store's own, to its bank: on their way for days, then paid or failed."""

from __future__ import annotations

from billing.stripe_standin import accounts, balance
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import ACCOUNT, Answer, ApiError, Call, invalid, listing

KIND = "payout"
_ARRIVES_SECONDS = 2 * 86_400
_OWN = "_store"


def create(call: Call) -> Answer:
    """POST /v1/payouts, for the connected account that is acted for, or for the store."""
    amount = call.integer("amount", call.require("amount"))
    currency = str(call.require("currency")).lower()
    if amount < 1:
        raise invalid("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    account = call.store.get(call.account, "account") if call.account else _store(call)
    if account is None or not account["external_accounts"]["data"]:
        raise invalid(
            f"Sorry, you don't have any external accounts in that currency ({currency}).",
            param="destination",
        )
    if not account["payouts_enabled"]:
        raise ApiError(
            400,
            "invalid_request_error",
            "Cannot create payouts: payouts are not enabled on this account.",
            code="payouts_not_allowed",
        )
    balance.require(call, amount, currency)
    payout: Object = {
        "id": call.store.new_id("po"),
        "object": KIND,
        "amount": amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": call.now + _ARRIVES_SECONDS,
        "automatic": False,
        "balance_transaction": None,
        "created": call.now,
        "currency": currency,
        "description": call.params.get("description"),
        "destination": account["external_accounts"]["data"][0]["id"],
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": call.params.get("metadata") or {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": call.params.get("statement_descriptor"),
        "status": "pending",
        "trace_id": None,
        "type": "bank_account",
    }
    moved = balance.record(call, payout, amount=-amount, type_="payout", delay=0)
    payout["balance_transaction"] = moved["id"]
    call.put(payout)
    call.emit("payout.created", payout)
    return 200, payout


def retrieve(call: Call) -> Answer:
    """GET /v1/payouts/{id}"""
    return 200, call.find(KIND, call.ids[0], "payout")


def list_payouts(call: Call) -> Answer:
    """GET /v1/payouts"""
    return listing(call, KIND, "/v1/payouts", "status", "destination")


def _store(call: Call) -> Object:
    """The store's own account: ready, with a bank that says yes until somebody says otherwise."""
    return call.store.get(_OWN) or {
        "id": "",
        "payouts_enabled": True,
        "external_accounts": {"data": [{"id": "ba_store"}]},
        "_bank_works": True,
    }


def change_own_bank(call: Call) -> Answer:
    """POST /_standin/bank: what the store's own bank says from now on; `outcome=fails` for no."""
    works = call.params.get("outcome") != "fails"
    call.store.put({**_store(call), "id": _OWN, "object": _OWN, "_bank_works": works})
    return 200, {"works": works}


def settle_due(call: Call) -> None:
    """What the banks say by now: payouts whose day has come are paid, or failed and back in the balance."""
    for account in [*call.store.every("account"), {**_store(call), "id": ""}]:
        for payout in call.store.every(KIND, account["id"], status="pending"):
            if payout["arrival_date"] <= call.now:
                _arrive(call, payout, account)


def _arrive(call: Call, payout: Object, account: Object) -> None:
    if account["id"]:
        payout[ACCOUNT] = account["id"]
    if account["_bank_works"]:
        payout["status"] = "paid"
        call.store.put(payout)
        call.emit("payout.paid", payout, account=account["id"])
        return
    back = balance.record(
        call, payout, amount=payout["amount"], type_="payout_failure", delay=0, account=account["id"]
    )
    payout |= {
        "status": "failed",
        "failure_code": "account_closed",
        "failure_message": "The bank account has been closed.",
        "failure_balance_transaction": back["id"],
    }
    call.store.put(payout)
    call.emit("payout.failed", payout, account=account["id"])
    if account["id"]:
        accounts.refuse_bank(call, account)
