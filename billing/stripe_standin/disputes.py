"""Disputes: a shopper's bank takes a payment back; the platform answers with evidence, or gives in."""

from __future__ import annotations

from billing.stripe_standin import balance
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, Call, invalid, listing

KIND = "dispute"
FEE = 1_500
_DUE_SECONDS = 9 * 86_400
_TEXTS = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
]


def open_dispute(call: Call, charge: Object) -> Object:
    """The bank takes the money and Stripe its fee, at once."""
    dispute: Object = {
        "id": call.store.new_id("du"),
        "object": KIND,
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": call.now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_TEXTS), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": call.now + _DUE_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "network_reason_code": "10.4",
        "payment_intent": charge["payment_intent"],
        "payment_method_details": None,
        "reason": "fraudulent",
        "status": "needs_response",
    }
    taken = balance.record(
        call, dispute, amount=-charge["amount"], fee=FEE, type_="adjustment", delay=0, category="dispute"
    )
    dispute["balance_transactions"] = [taken]
    charge["disputed"] = True
    call.store.put(charge)
    call.store.put(dispute)
    call.emit("charge.dispute.created", dispute)
    call.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def retrieve(call: Call) -> Answer:
    """GET /v1/disputes/{id}"""
    return 200, call.find(KIND, call.ids[0], "dispute")


def list_disputes(call: Call) -> Answer:
    """GET /v1/disputes"""
    return listing(call, KIND, "/v1/disputes", "charge", "payment_intent")


def update(call: Call) -> Answer:
    """POST /v1/disputes/{id}: evidence; submitted unless `submit=false`.

    As in Stripe's test mode, the text `winning_evidence` or `losing_evidence` decides at once.
    """
    dispute = _answerable(call)
    evidence = call.params.get("evidence") or {}
    for name, value in evidence.items():
        if name not in _TEXTS:
            raise invalid(f"Received unknown parameter: evidence[{name}]", param=f"evidence[{name}]")
        dispute["evidence"][name] = value
    dispute["metadata"] |= call.params.get("metadata") or {}
    details = dispute["evidence_details"]
    details["has_evidence"] = any(dispute["evidence"][name] for name in _TEXTS)
    if call.params.get("submit", "true") == "true":
        details |= {"submission_count": details["submission_count"] + 1, "submission_method": "manual"}
        dispute["status"] = "under_review"
    call.store.put(dispute)
    call.emit("charge.dispute.updated", dispute)
    said = dispute["evidence"]["uncategorized_text"]
    if dispute["status"] == "under_review" and said in ("winning_evidence", "losing_evidence"):
        _decide(call, dispute, won=said == "winning_evidence")
    return 200, dispute


def close(call: Call) -> Answer:
    """POST /v1/disputes/{id}/close: give in."""
    dispute = _answerable(call)
    _decide(call, dispute, won=False)
    return 200, dispute


def _answerable(call: Call) -> Object:
    dispute = call.find(KIND, call.ids[0], "dispute")
    if dispute["status"] != "needs_response":
        raise invalid(f"This dispute is already {dispute['status']}.", code="dispute_already_closed")
    return dispute


def _decide(call: Call, dispute: Object, *, won: bool) -> None:
    dispute["status"] = "won" if won else "lost"
    if won:
        back = balance.record(
            call, dispute, amount=dispute["amount"], type_="adjustment", delay=0, category="dispute_reversal"
        )
        dispute["balance_transactions"].append(back)
    call.store.put(dispute)
    call.emit("charge.dispute.closed", dispute)
    if won:
        call.emit("charge.dispute.funds_reinstated", dispute)
