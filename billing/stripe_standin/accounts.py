"""Connected accounts: whom the platform sends money to, and what they must show before it may."""

from __future__ import annotations

from typing import Any

from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, Call, invalid, listing

KIND = "account"
_WANTED = ["business_type", "external_account", "individual.verification.document", "tos_acceptance.date"]
_LINK_SECONDS = 300


def create(call: Call) -> Answer:
    """POST /v1/accounts: a recipient of transfers; onboarding is Stripe's."""
    controller = call.params.get("controller") or {}
    dashboard = (controller.get("stripe_dashboard") or {}).get("type", "full")
    capabilities: dict[str, Any] = call.params.get("capabilities") or {}
    if dashboard == "express" and not capabilities:
        raise invalid("You must request at least one capability.", param="capabilities")
    interval = _at(call.params, "settings", "payouts", "schedule", "interval") or "daily"
    account: Object = {
        "id": call.store.new_id("acct"),
        "object": KIND,
        "business_profile": None,
        "business_type": None,
        "capabilities": dict.fromkeys(capabilities, "inactive"),
        "charges_enabled": False,
        "controller": {
            "fees": {"payer": _at(controller, "fees", "payer") or "account"},
            "is_controller": True,
            "losses": {"payments": _at(controller, "losses", "payments") or "stripe"},
            "requirement_collection": "stripe",
            "stripe_dashboard": {"type": dashboard},
            "type": "application",
        },
        "country": call.params.get("country") or "US",
        "created": call.now,
        "default_currency": "usd",
        "details_submitted": False,
        "email": call.params.get("email"),
        "external_accounts": _banks([]),
        "metadata": call.params.get("metadata") or {},
        "payouts_enabled": False,
        "requirements": _requirements(_WANTED),
        "settings": {
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "card_payments": {
                "decline_on": {"avs_failure": False, "cvc_failure": False},
                "statement_descriptor_prefix": None,
                "statement_descriptor_prefix_kana": None,
                "statement_descriptor_prefix_kanji": None,
            },
            "dashboard": {"display_name": None, "timezone": "Etc/UTC"},
            "payments": {
                "statement_descriptor": None,
                "statement_descriptor_kana": None,
                "statement_descriptor_kanji": None,
            },
            "payouts": {
                "debit_negative_balances": False,
                "schedule": {"delay_days": 2, "interval": interval},
                "statement_descriptor": None,
            },
        },
        "tos_acceptance": {"date": None},
        "type": "none" if controller else "standard",
        "_bank_works": True,
    }
    call.store.put(account)
    call.emit("account.updated", account, account=account["id"])
    return 200, account


def _at(given: Any, *names: str) -> Any:
    for name in names:
        given = given.get(name) if isinstance(given, dict) else None
    return given


def _requirements(due: list[str]) -> Object:
    return {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": list(due),
        "disabled_reason": "requirements.past_due" if due else None,
        "errors": [],
        "eventually_due": list(due),
        "past_due": list(due),
        "pending_verification": [],
    }


def _banks(banks: list[Object]) -> Object:
    return {"object": "list", "data": banks, "has_more": False, "url": "/v1/accounts/external_accounts"}


def retrieve(call: Call) -> Answer:
    """GET /v1/accounts/{id}"""
    return 200, call.find(KIND, call.ids[0], "account")


def list_accounts(call: Call) -> Answer:
    """GET /v1/accounts"""
    return listing(call, KIND, "/v1/accounts")


def create_link(call: Call) -> Answer:
    """POST /v1/account_links: where the account's owner says who it is, within minutes."""
    account = call.find(KIND, call.require("account"), "account")
    if call.require("type") != "account_onboarding":
        raise invalid("The stand-in knows account_onboarding only.", param="type")
    back = call.require("return_url")
    call.require("refresh_url")
    account["_return_url"] = back
    call.store.put(account)
    return 200, {
        "object": "account_link",
        "created": call.now,
        "expires_at": call.now + _LINK_SECONDS,
        "url": f"{call.base}/_standin/accounts/{account['id']}/onboarding",
    }


def onboard(call: Call) -> Answer:
    """POST /_standin/accounts/{id}/onboard: the owner has said and shown all that is asked."""
    account = call.find(KIND, call.ids[0])
    account |= {
        "business_type": "individual",
        "details_submitted": True,
        "payouts_enabled": True,
        "charges_enabled": "card_payments" in account["capabilities"],
        "capabilities": dict.fromkeys(account["capabilities"], "active"),
        "requirements": _requirements([]),
        "external_accounts": _banks([_bank(call, account, "6789")]),
        "tos_acceptance": {"date": call.now},
    }
    return 200, _changed(call, account)


def onboarding_page(call: Call) -> Answer:
    """GET /_standin/accounts/{id}/onboarding: who opens the page has filled it in, and is sent back."""
    onboard(call)
    return 303, {"location": call.find(KIND, call.ids[0])["_return_url"]}


def change_bank(call: Call) -> Answer:
    """POST /_standin/accounts/{id}/bank: `outcome=fails` for an account that takes no payouts (closed)."""
    account = call.find(KIND, call.ids[0])
    works = call.params.get("outcome") != "fails"
    account |= {
        "_bank_works": works,
        "payouts_enabled": True,
        "requirements": _requirements([]),
        "external_accounts": _banks([_bank(call, account, "6789" if works else "1116")]),
    }
    return 200, _changed(call, account)


def reject(call: Call) -> Answer:
    """POST /_standin/accounts/{id}/reject: the processor has closed it for good."""
    account = call.find(KIND, call.ids[0])
    account |= {
        "payouts_enabled": False,
        "capabilities": dict.fromkeys(account["capabilities"], "inactive"),
        "requirements": {**_requirements([]), "disabled_reason": "rejected.other"},
    }
    return 200, _changed(call, account)


def refuse_bank(call: Call, account: Object) -> None:
    """After a failed payout no other is tried until the owner names another bank account."""
    account |= {"payouts_enabled": False, "requirements": _requirements(["external_account"])}
    _changed(call, account)


def _changed(call: Call, account: Object) -> Object:
    call.store.put(account)
    call.emit("account.updated", account, account=account["id"])
    return account


def _bank(call: Call, account: Object, last4: str) -> Object:
    return {
        "id": call.store.new_id("ba"),
        "object": "bank_account",
        "account": account["id"],
        "account_holder_name": None,
        "account_holder_type": None,
        "account_type": None,
        "available_payout_methods": ["standard"],
        "bank_name": "STRIPE TEST BANK",
        "country": account["country"],
        "currency": account["default_currency"],
        "customer": None,
        "default_for_currency": True,
        "fingerprint": None,
        "last4": last4,
        "metadata": {},
        "routing_number": "110000000",
        "status": "new",
    }
