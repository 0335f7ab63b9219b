"""Price versions: drafted, announced, in force, superseded. Law 8: a rise needs 14 days' notice."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.db import IntegrityError, transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Invalid
from billing.errors import NoPricesInForce, NoticeTooShort, PricesNotDraft, PricesNotFixed
from billing.models import PriceRule, PriceVersion, PriceVersionChange

NOTICE = timedelta(days=14)

_Kind, _Status = PriceRule.Kind, PriceVersion.Status
_FIXED = (_Status.ANNOUNCED, _Status.IN_FORCE, _Status.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class Terms:
    """One fee to be: micro-units for `ppcv`, parts per million for `agent_tax` and `developer_share`."""

    kind: str
    value: int
    category: str = ""


def current_price_version(at: datetime | None = None, *, currency: str | None = None) -> PriceVersion:
    """The prices in force at an instant: the last announced ones whose time had come.

    Raises NoPricesInForce.
    """
    version = _in_force(at or now(), currency or settings.STORE_CURRENCY)
    if version is None:
        raise NoPricesInForce(
            "No prices are in force.", hint="Run `manage.py seed_prices`, or announce a price version."
        )
    return version


def _in_force(at: datetime, currency: str) -> PriceVersion | None:
    return (
        PriceVersion.objects.filter(currency=currency, status__in=_FIXED, effective_at__lte=at)
        .order_by("-effective_at")
        .prefetch_related("rules")
        .first()
    )


@lru_cache(maxsize=64)
def _fixed_terms(version_id: uuid.UUID) -> PriceVersion:
    version = PriceVersion.objects.prefetch_related("rules").get(pk=version_id)
    if version.status not in _FIXED:
        raise PricesNotFixed(f"Price version {version} is {version.status}; nothing is billed by it.")
    return version


def fixed_terms(version_id: uuid.UUID) -> PriceVersion:
    """A version for its fees alone, from memory where possible: announced fees never change."""
    return _fixed_terms(version_id)


@transaction.atomic
def draft_prices(*, name: str, terms: Iterable[Terms], by: str, currency: str | None = None) -> PriceVersion:
    """A draft of new prices. Raises Invalid without a default for each kind, Conflict for a taken name."""
    if PriceVersion.objects.filter(name=name).exists():
        raise Conflict(f"There are prices called {name} already.", hint="Give them another name.")
    version = PriceVersion.objects.create(name=name, currency=currency or settings.STORE_CURRENCY)
    _write_rules(version, list(terms))
    _record(version, _Status.DRAFT, by, "drafted")
    return version


@transaction.atomic
def redraft_prices(*, version_id: uuid.UUID, terms: Iterable[Terms], by: str) -> PriceVersion:
    """Other terms for a draft. Raises PricesNotDraft, Invalid."""
    version = _lock_draft(version_id)
    version.rules.all().delete()
    _write_rules(version, list(terms))
    _record(version, _Status.DRAFT, by, "changed")
    return version


def _lock_draft(version_id: uuid.UUID) -> PriceVersion:
    version = PriceVersion.objects.select_for_update().get(pk=version_id)
    if version.status != _Status.DRAFT:
        raise PricesNotDraft(f"Price version {version} is {version.get_status_display().lower()}.")
    return version


def _write_rules(version: PriceVersion, terms: list[Terms]) -> None:
    missing = {kind.value for kind in _Kind} - {term.kind for term in terms if not term.category}
    if missing:
        raise Invalid(f"Prices need a default for {', '.join(sorted(missing))}.")
    try:
        with transaction.atomic():
            PriceRule.objects.bulk_create(_rule(version, term) for term in terms)
    except IntegrityError as refused:
        raise Invalid(
            "A fee is given twice, negative, or above its limit.", hint="An agent tax is at most 20 %."
        ) from refused


def _rule(version: PriceVersion, term: Terms) -> PriceRule:
    amount = term.kind == _Kind.PPCV
    return PriceRule(
        version=version,
        kind=term.kind,
        category=term.category,
        amount_micros=term.value if amount else None,
        rate_ppm=None if amount else term.value,
    )


@dataclass(frozen=True, slots=True)
class Change:
    """A fee of a category that differs between two versions; category "" is the default."""

    kind: str
    category: str
    old: int
    new: int

    @property
    def concerns_developers(self) -> bool:
        """Whether it is the developer's share of a fee rather than the fee."""
        return self.kind == _Kind.DEVELOPER_SHARE

    @property
    def worse(self) -> bool:
        """Whether it gets worse for those who pay it or share in it."""
        return self.new < self.old if self.concerns_developers else self.new > self.old


def compare(before: PriceVersion, after: PriceVersion) -> list[Change]:
    """Every fee that changes, for every category that either names."""
    categories = {rule.category for rule in [*before.rules.all(), *after.rules.all()]}
    found = []
    for category in sorted(categories):
        old_new = {
            _Kind.PPCV: (before.ppcv(category).micros, after.ppcv(category).micros),
            _Kind.AGENT_TAX: (before.tax_ppm(category), after.tax_ppm(category)),
            _Kind.DEVELOPER_SHARE: (before.share_ppm(category), after.share_ppm(category)),
        }
        found += [
            Change(kind.value, category, old, new) for kind, (old, new) in old_new.items() if old != new
        ]
    return found


def predecessor_of(version: PriceVersion) -> PriceVersion | None:
    """The prices that a version takes over from, or would today while it is a draft; None for the first."""
    if version.effective_at is None:
        return _in_force(now(), version.currency)
    return _in_force(version.effective_at - timedelta(microseconds=1), version.currency)


@transaction.atomic
def announce_prices(
    *, version_id: uuid.UUID, effective_at: datetime, by: str, reason: str = ""
) -> PriceVersion:
    """Fix a draft's fees and the day they come into force.

    Raises PricesNotDraft, Invalid for a day in the past, NoticeTooShort when anything gets dearer (or a
    developer's share smaller) within 14 days, Conflict when other prices begin at the same instant. The
    first prices of a currency need no notice: nobody has paid others.
    """
    version = _lock_draft(version_id)
    at = now()
    predecessor = _in_force(effective_at, version.currency)
    if effective_at < at and predecessor is not None:
        raise Invalid("Prices can't come into force in the past.")
    if predecessor is not None and effective_at < at + NOTICE:
        worse = [change for change in compare(predecessor, version) if change.worse]
        if worse:
            raise NoticeTooShort(
                f"A rise needs {NOTICE.days} days' notice.",
                hint=f"Let it take effect on {(at + NOTICE):%-d %B %Y} or later.",
                rises=[asdict(change) for change in worse],
            )
    version.status, version.announced_at, version.effective_at = _Status.ANNOUNCED, at, effective_at
    try:
        with transaction.atomic():
            version.save()
    except IntegrityError as taken:
        raise Conflict("Other prices come into force at that very instant.") from taken
    _record(version, _Status.ANNOUNCED, by, reason)
    activate_due_prices()
    version.refresh_from_db()
    return version


@transaction.atomic
def withdraw_prices(*, version_id: uuid.UUID, by: str, reason: str) -> PriceVersion:
    """Take back a draft, or announced prices before their day.

    Raises Conflict when it has come, NoticeTooShort when later prices would then be a rise without notice: they
    were announced as a fall from these.
    """
    version = PriceVersion.objects.select_for_update().get(pk=version_id)
    coming = version.effective_at is not None and version.effective_at > now()
    if version.status != _Status.DRAFT and not (version.status == _Status.ANNOUNCED and coming):
        raise Conflict("Only drafts, and announced prices that are not in force yet, can be withdrawn.")
    version.status = _Status.WITHDRAWN
    version.save(update_fields=["status"])
    if coming:
        for later in PriceVersion.objects.filter(
            currency=version.currency, status=_Status.ANNOUNCED, effective_at__gt=version.effective_at
        ):
            _require_notice(later)
    _record(version, _Status.WITHDRAWN, by, reason)
    return version


def _require_notice(version: PriceVersion) -> None:
    before = predecessor_of(version)
    if before is None or version.effective_at is None or version.announced_at is None:
        return
    if version.effective_at >= version.announced_at + NOTICE:
        return
    if any(change.worse for change in compare(before, version)):
        raise NoticeTooShort(
            f"“{version.name}” would be a rise without {NOTICE.days} days' notice.", hint="Withdraw it first."
        )


@transaction.atomic
def activate_due_prices() -> int:
    """Note the status of prices whose day has come; how many. Which prices apply never waits for this."""
    due = list(
        PriceVersion.objects.select_for_update()
        .filter(status=_Status.ANNOUNCED, effective_at__lte=now())
        .order_by("effective_at")
    )
    for version in due:
        earlier = PriceVersion.objects.select_for_update().filter(
            currency=version.currency, status=_Status.IN_FORCE
        )
        for old in earlier:
            old.status = _Status.SUPERSEDED
            old.save(update_fields=["status"])
            _record(old, _Status.SUPERSEDED, "pricing", f"by {version}")
        version.status = _Status.IN_FORCE
        version.save(update_fields=["status"])
        _record(version, _Status.IN_FORCE, "pricing", "its day has come")
    return len(due)


def _record(version: PriceVersion, status: str, by: str, reason: str) -> None:
    PriceVersionChange.objects.create(version=version, status=status, by=by, reason=reason)
