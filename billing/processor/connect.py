"""Connected accounts: where the processor learns who is to be paid, and at which bank."""

from __future__ import annotations

from dataclasses import dataclass

import stripe

from billing.processor.client import client, typed_errors


@dataclass(frozen=True, slots=True)
class ConnectedAccount:
    """An account that money can be sent to once `ready`; `missing` names what the processor still asks for."""

    id: str
    submitted: bool
    transfers: bool
    payouts: bool
    missing: tuple[str, ...]
    reason: str

    @property
    def ready(self) -> bool:
        """Whether a transfer to it and a payout from it are possible now."""
        return self.transfers and self.payouts


def create_account(*, reference: str, country: str, email: str) -> ConnectedAccount:
    """An account for one organization, once per reference; the store decides when it pays out.

    Raises ProcessorUnavailable, ProcessorRefused (a country that the processor does not pay to).
    """
    with typed_errors():
        account = client().v1.accounts.create(
            {
                "country": country,
                "email": email,
                "controller": {
                    "fees": {"payer": "application"},
                    "losses": {"payments": "application"},
                    "stripe_dashboard": {"type": "express"},
                },
                "capabilities": {"transfers": {"requested": True}},
                "settings": {"payouts": {"schedule": {"interval": "manual"}}},
                "metadata": {"reference": reference},
            },
            {"idempotency_key": f"account:{reference}"},
        )
    return _account(account)


def onboarding_link(*, account_id: str, return_url: str, refresh_url: str) -> str:
    """An address, good for minutes, where the account's owner tells the processor what it asks for.

    Raises ProcessorUnavailable, ProcessorRefused.
    """
    with typed_errors():
        link = client().v1.account_links.create(
            {
                "account": account_id,
                "type": "account_onboarding",
                "return_url": return_url,
                "refresh_url": refresh_url,
            }
        )
    return link.url


def retrieve_account(*, account_id: str) -> ConnectedAccount:
    """The account as it is now. Raises ProcessorRefused when there is none, ProcessorUnavailable."""
    with typed_errors():
        return _account(client().v1.accounts.retrieve(account_id))


def _account(account: stripe.Account) -> ConnectedAccount:
    wanted = account.requirements
    return ConnectedAccount(
        id=account.id,
        submitted=bool(account.details_submitted),
        transfers=account.capabilities is not None and account.capabilities.transfers == "active",
        payouts=bool(account.payouts_enabled),
        missing=tuple((wanted.currently_due or []) if wanted else ()),
        reason=(wanted.disabled_reason or "") if wanted else "",
    )
