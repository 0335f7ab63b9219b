"""Invoices: draft, open, paid, void, uncollectible; with automatic tax and the customer's balance."""

from __future__ import annotations

from billing.stripe_standin import taxes
from billing.stripe_standin.invoice_lines import lines_of
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, ApiError, Call, inline_list, invalid, listing

KIND = "invoice"
_METHODS = ("charge_automatically", "send_invoice")


def create(call: Call) -> Answer:
    """POST /v1/invoices: a draft without lines."""
    customer = call.find("customer", call.require("customer"), "customer")
    method = str(call.params.get("collection_method", "charge_automatically"))
    if method not in _METHODS:
        raise invalid("Invalid collection_method", param="collection_method")
    due_days = call.params.get("days_until_due")
    if method == "send_invoice" and due_days is None:
        raise invalid(
            "If invoice collection method is 'send_invoice', one of the due_date or days_until_due parameters"
            " must be provided.",
            param="days_until_due",
        )
    if method != "send_invoice" and due_days is not None:
        raise invalid("You may only set days_until_due if collection_method is send_invoice.")
    if call.params.get("pending_invoice_items_behavior") not in (None, "exclude"):
        raise invalid("The stand-in knows only `exclude`.", param="pending_invoice_items_behavior")
    taxed = (call.params.get("automatic_tax") or {}).get("enabled") == "true"
    if taxed:
        taxes.place_of(customer)
    invoice = _blank(call, customer, method, taxed=taxed)
    invoice["_due_days"] = None if due_days is None else call.integer("days_until_due", due_days)
    _add_up(call, invoice)
    call.emit("invoice.created", invoice)
    return 200, invoice


def _blank(call: Call, customer: Object, method: str, *, taxed: bool) -> Object:
    id_ = call.store.new_id("in")
    return {
        "id": id_,
        "object": KIND,
        "account_country": "US",
        "account_name": "Agent Store",
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": call.params.get("auto_advance") == "true",
        "automatic_tax": dict(taxes.ON if taxed else taxes.OFF),
        "automatically_finalizes_at": None,
        "billing_reason": "manual",
        "collection_method": method,
        "created": call.now,
        "currency": str(call.params.get("currency", "usd")).lower(),
        "custom_fields": None,
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": None,
        "customer_shipping": None,
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": call.params.get("description"),
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": call.params.get("footer"),
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "livemode": False,
        "metadata": call.params.get("metadata") or {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": None,
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": call.now,
        "period_start": call.now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "test_clock": None,
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "webhooks_delivered_at": None,
    }


def _add_up(call: Call, invoice: Object) -> Object:
    """Lines and totals of a draft as they are now."""
    lines = lines_of(call, invoice)
    subtotal = sum(line["amount"] for line in lines)
    all_taxes = [tax for line in lines for tax in line["taxes"]]
    within = sum(tax["amount"] for tax in all_taxes if tax["tax_behavior"] == "inclusive")
    total = subtotal - within + sum(tax["amount"] for tax in all_taxes)
    invoice |= {
        "lines": inline_list(lines, f"/v1/invoices/{invoice['id']}/lines"),
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - within,
        "total": total,
        "total_excluding_tax": subtotal - within,
        "total_taxes": taxes.totals(all_taxes),
        "amount_due": max(0, total),
        "amount_remaining": max(0, total),
    }
    return call.store.put(invoice)


def retrieve(call: Call) -> Answer:
    """GET /v1/invoices/{id}"""
    invoice = call.find(KIND, call.ids[0], "invoice")
    return 200, _add_up(call, invoice) if invoice["status"] == "draft" else invoice


def list_invoices(call: Call) -> Answer:
    """GET /v1/invoices"""
    return listing(call, KIND, "/v1/invoices", "customer", "status")


def list_lines(call: Call) -> Answer:
    """GET /v1/invoices/{id}/lines: all of them on one page."""
    invoice = call.find(KIND, call.ids[0], "invoice")
    lines = lines_of(call, invoice)
    url = f"/v1/invoices/{invoice['id']}/lines"
    return 200, {"object": "list", "data": lines, "has_more": False, "url": url}


def finalize(call: Call) -> Answer:
    """POST /v1/invoices/{id}/finalize: from here on nothing on it changes."""
    invoice = call.find(KIND, call.ids[0], "invoice")
    if invoice["status"] != "draft":
        raise ApiError(
            400,
            "invalid_request_error",
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    _add_up(call, invoice)
    customer = call.find("customer", invoice["customer"])
    number = customer["next_invoice_sequence"]
    # A credit on the customer's balance is used up first; what a negative invoice leaves is put there.
    balance = customer["balance"]
    due = max(0, invoice["total"] + balance)
    ending = min(0, invoice["total"] + balance)
    customer |= {"next_invoice_sequence": number + 1, "balance": ending}
    call.store.put(customer)
    days = invoice["_due_days"]
    invoice |= {
        "status": "open",
        "number": f"{customer['invoice_prefix']}-{number:04d}",
        "effective_at": call.now,
        "due_date": None if days is None else call.now + days * 86_400,
        "starting_balance": balance,
        "ending_balance": ending,
        "amount_due": due,
        "amount_remaining": due,
        "hosted_invoice_url": f"{call.base}/_standin/invoices/{invoice['id']}/pay",
        "invoice_pdf": f"{call.base}/_standin/invoices/{invoice['id']}/pdf",
        "payments": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/invoice_payments?invoice={invoice['id']}",
        },
    }
    invoice["status_transitions"]["finalized_at"] = call.now
    call.store.put(invoice)
    call.emit("invoice.finalized", invoice)
    if due == 0:
        settle(call, invoice)
    return 200, invoice


def settle(call: Call, invoice: Object) -> None:
    """Nothing remains to be paid."""
    invoice |= {"status": "paid", "amount_remaining": 0, "attempted": True}
    invoice["status_transitions"]["paid_at"] = call.now
    call.store.put(invoice)
    call.emit("invoice.paid", invoice)


def send(call: Call) -> Answer:
    """POST /v1/invoices/{id}/send: the stand-in writes no mails, it says that it would have."""
    invoice = call.find(KIND, call.ids[0], "invoice")
    if invoice["collection_method"] != "send_invoice":
        raise invalid("You can only manually send an invoice if its collection method is 'send_invoice'.")
    if invoice["status"] not in ("open", "paid"):
        raise invalid(f"You can't send an invoice that is {invoice['status']}.")
    call.emit("invoice.sent", invoice)
    return 200, invoice


def void(call: Call) -> Answer:
    """POST /v1/invoices/{id}/void"""
    invoice = payable(call)
    invoice |= {"status": "void", "amount_due": 0, "amount_remaining": 0}
    invoice["status_transitions"]["voided_at"] = call.now
    call.store.put(invoice)
    call.emit("invoice.voided", invoice)
    return 200, invoice


def mark_uncollectible(call: Call) -> Answer:
    """POST /v1/invoices/{id}/mark_uncollectible"""
    invoice = payable(call)
    if invoice["status"] != "open":
        raise invalid("You can only mark an open invoice as uncollectible.", code="invoice_not_editable")
    invoice["status"] = "uncollectible"
    invoice["status_transitions"]["marked_uncollectible_at"] = call.now
    call.store.put(invoice)
    call.emit("invoice.marked_uncollectible", invoice)
    return 200, invoice


def payable(call: Call) -> Object:
    """The invoice, refused where there is nothing to be paid or voided any more."""
    invoice = call.find(KIND, call.ids[0], "invoice")
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(
            f"This invoice is {invoice['status']}; only open and uncollectible invoices can be paid or voided.",
            code="invoice_not_open",
        )
    return invoice
