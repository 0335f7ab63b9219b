"""An owner's account at the processor: made when it is first asked for, described by the processor ever after."""

from __future__ import annotations

from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from billing import webhooks
from billing.models import PayoutAccount, WebhookEvent
from billing.processor import connect


def choose_country(*, owner_ref: str, country: str) -> PayoutAccount:
    """Say where an owner is; it stays once the processor knows it. Raises Invalid."""
    if len(country) != 2 or not country.isascii() or not country.isalpha():
        raise Invalid("Write the country as two letters, such as DE.")
    account, new = PayoutAccount.objects.get_or_create(
        owner_ref=owner_ref, defaults={"country": country.upper()}
    )
    if not new and not account.processor_ref:
        account.country = country.upper()
        account.save(update_fields=["country"])
    return account


def start_onboarding(*, owner_ref: str, email: str, return_url: str, refresh_url: str) -> str:
    """An address at the processor, good for minutes, where the owner says who it is.

    Makes the account the first time. Call it outside of a transaction. Raises PayoutAccount.DoesNotExist where no
    country was chosen, ProcessorUnavailable, ProcessorRefused.
    """
    account = PayoutAccount.objects.get(owner_ref=owner_ref)
    if not account.processor_ref:
        made = connect.create_account(reference=owner_ref, country=account.country, email=email)
        _note(owner_ref, made)
        account.refresh_from_db()
    return connect.onboarding_link(
        account_id=account.processor_ref, return_url=return_url, refresh_url=refresh_url
    )


def refresh_account(*, owner_ref: str) -> PayoutAccount | None:
    """Ask the processor how an owner's account stands; None where it has none."""
    account = PayoutAccount.objects.filter(owner_ref=owner_ref).exclude(processor_ref="").first()
    if account is None:
        return None
    _note(owner_ref, connect.retrieve_account(account_id=account.processor_ref))
    account.refresh_from_db()
    return account


def settle_account_event(*, event_id: int) -> None:
    """An account changed: ask how it stands now, whatever the event said then."""
    row = WebhookEvent.objects.get(pk=event_id)
    ref = str(row.payload.get("account") or row.payload["data"]["object"].get("id", ""))
    account = PayoutAccount.objects.filter(processor_ref=ref).first() if ref else None
    told = None
    if row.handled_at is None and account is not None:
        told = connect.retrieve_account(account_id=ref)
    with webhooks.handle(event_id) as event:
        if event is not None and told is not None and account is not None:
            _note(account.owner_ref, told)


@transaction.atomic
def _note(owner_ref: str, told: connect.ConnectedAccount) -> None:
    account = PayoutAccount.objects.select_for_update().get(owner_ref=owner_ref)
    account.processor_ref, account.ready = told.id, told.ready
    account.missing, account.reason, account.checked_at = list(told.missing), told.reason[:80], now()
    account.save()
