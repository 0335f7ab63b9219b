"""Transfers from the platform's balance to a connected account's, and back."""

from __future__ import annotations

from billing.stripe_standin import balance
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, ApiError, Call, inline_list, invalid, listing

KIND = "transfer"


def create(call: Call) -> Answer:
    """POST /v1/transfers"""
    amount = call.integer("amount", call.require("amount"))
    currency = str(call.require("currency")).lower()
    account = call.find("account", call.require("destination"), "destination")
    if amount < 1:
        raise invalid("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if account["capabilities"].get("transfers") != "active":
        raise ApiError(
            400,
            "invalid_request_error",
            "Your destination account needs to have at least one of the following capabilities enabled:"
            " transfers, crypto_transfers, legacy_payments",
            code="insufficient_capabilities_for_transfer",
        )
    balance.require(call, amount, currency)
    id_ = call.store.new_id("tr")
    transfer: Object = {
        "id": id_,
        "object": KIND,
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": call.now,
        "currency": currency,
        "description": call.params.get("description"),
        "destination": account["id"],
        "destination_payment": call.store.new_id("py"),
        "livemode": False,
        "metadata": call.params.get("metadata") or {},
        "reversals": inline_list([], f"/v1/transfers/{id_}/reversals"),
        "reversed": False,
        "source_transaction": None,
        "source_type": "card",
        "transfer_group": call.params.get("transfer_group"),
    }
    moved = balance.record(call, transfer, amount=-amount, type_="transfer", delay=0)
    transfer["balance_transaction"] = moved["id"]
    arrived = {"id": transfer["destination_payment"], "currency": currency}
    balance.record(call, arrived, amount=amount, type_="payment", delay=0, account=account["id"])
    call.store.put(transfer)
    call.emit("transfer.created", transfer)
    return 200, transfer


def retrieve(call: Call) -> Answer:
    """GET /v1/transfers/{id}"""
    return 200, call.find(KIND, call.ids[0], "transfer")


def list_transfers(call: Call) -> Answer:
    """GET /v1/transfers"""
    return listing(call, KIND, "/v1/transfers", "destination", "transfer_group")


def reverse(call: Call) -> Answer:
    """POST /v1/transfers/{id}/reversals: never more than is left of it, nor than the account still has."""
    transfer = call.find(KIND, call.ids[0], "transfer")
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = call.integer("amount", call.params["amount"]) if "amount" in call.params else left
    if left == 0:
        raise invalid(
            f"Transfer {transfer['id']} is already fully reversed.", code="transfer_already_reversed"
        )
    if not 0 < amount <= left:
        raise invalid(
            f"Refund amount ({amount}) is greater than unrefunded amount on transfer ({left})", param="amount"
        )
    balance.require(call, amount, transfer["currency"], transfer["destination"])
    reversal: Object = {
        "id": call.store.new_id("trr"),
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": None,
        "created": call.now,
        "currency": transfer["currency"],
        "destination_payment_refund": call.store.new_id("pyr"),
        "metadata": call.params.get("metadata") or {},
        "source_refund": None,
        "transfer": transfer["id"],
    }
    moved = balance.record(
        call, reversal, amount=amount, type_="transfer_refund", delay=0, category="transfer_reversal"
    )
    reversal["balance_transaction"] = moved["id"]
    given_back = {"id": reversal["destination_payment_refund"], "currency": transfer["currency"]}
    balance.record(
        call, given_back, amount=-amount, type_="payment_refund", delay=0, account=transfer["destination"]
    )
    call.store.put(reversal)
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    transfer["reversals"]["data"].insert(0, reversal)
    call.store.put(transfer)
    call.emit("transfer.reversed", transfer)
    return 200, reversal
