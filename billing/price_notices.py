"""Telling every merchant and studio of announced prices: what changes, when, and what it means for them."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction
from django.urls import reverse

from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing.models import Notice, PriceRule, PriceVersion
from billing.notices import NoticeDraft, tell_many
from billing.periods import Month
from billing.price_effects import Effect, Effects, effects_on
from billing.pricing import Change, compare, predecessor_of


@transaction.atomic
def tell_of_prices() -> int:
    """Tell of the prices that were announced or withdrawn since the last time; how many versions. Twice is once.

    The first prices of a currency are no change, so nobody is told of them.
    """
    waiting = PriceVersion.objects.select_for_update(skip_locked=True).filter(announced_at__isnull=False)
    told = 0
    for version in waiting.filter(told_at=None).exclude(status=PriceVersion.Status.WITHDRAWN):
        before = predecessor_of(version)
        if before is not None:
            tell_many(_announcements(version, before))
        version.told_at = now()
        version.save(update_fields=["told_at"])
        told += 1
    for version in waiting.filter(
        status=PriceVersion.Status.WITHDRAWN, told_at__isnull=False, effective_at__gt=now()
    ):
        recalls = list(_recalls(version))
        if recalls and not Notice.objects.filter(key__in=[recall.key for recall in recalls]).exists():
            tell_many(recalls)
            told += 1
    return told


def _announcements(version: PriceVersion, before: PriceVersion) -> Iterator[NoticeDraft]:
    changes = compare(before, version)
    month = Month.of(now()).previous()
    effects = effects_on(month, version)
    for organization in Organization.objects.order_by("pk").iterator():
        is_merchant = organization.kind == Organization.Kind.MERCHANT
        lines = [
            line_of(change, version.currency)
            for change in changes
            if is_merchant or change.concerns_developers
        ]
        if not lines:
            continue
        paragraphs = [
            f"New fees, “{version.name}”, take effect on {_day(version)}. A conversation is billed by the fees"
            " that are in force when it is opened.",
            "\n".join(lines),
            _effect_on(organization, effects),
        ]
        yield NoticeDraft(
            key=f"prices:{version.pk}:announced:{organization.ref}",
            owner_ref=organization.ref,
            subject=f"Fees change on {version.effective_at:%-d %B %Y}",
            text="\n\n".join(paragraphs),
            path=reverse("billing:fees"),
        )


def _recalls(version: PriceVersion) -> Iterator[NoticeDraft]:
    for organization in Organization.objects.order_by("pk").iterator():
        yield NoticeDraft(
            key=f"prices:{version.pk}:withdrawn:{organization.ref}",
            owner_ref=organization.ref,
            subject=f"Fees don't change on {version.effective_at:%-d %B %Y}",
            text=f"The fees “{version.name}”, announced for {_day(version)}, were withdrawn.",
            path=reverse("billing:fees"),
        )


def _day(version: PriceVersion) -> str:
    return f"{version.effective_at:%-d %B %Y, %H:%M} UTC"


def line_of(change: Change, currency: str) -> str:
    """A change in a line: `Agent tax, grocery: 8 % → 10 %`."""

    def shown(value: int) -> str:
        return str(Money(value, currency)) if change.kind == PriceRule.Kind.PPCV else f"{value / 10_000:g} %"

    where = change.category or "all other categories"
    return f"{PriceRule.Kind(change.kind).label}, {where}: {shown(change.old)} → {shown(change.new)}"


def _effect_on(organization: Organization, effects: Effects) -> str:
    month = f"{effects.month.start:%B %Y}"
    if organization.kind == Organization.Kind.MERCHANT:
        effect, did = effects.merchants.get(organization.ref), "were charged"
    else:
        effect, did = effects.developers.get(organization.ref), "earned"
    if effect is None:
        return f"You {did} nothing in {month}, so there is nothing to compare."
    then = _then(effect, effects)
    return f"In {month} you {did} {effects.money(effect.before)}. By the new fees it would have been {then}."


def _then(effect: Effect, effects: Effects) -> str:
    change = effects.money(abs(effect.change))
    if not change.micros:
        return "the same"
    return f"{effects.money(effect.after)}, {change} {'more' if effect.change > 0 else 'less'}"
