"""Whether an owner may still be charged: fees stop at the last reminder of an unpaid invoice."""

from __future__ import annotations

from billing.models import DunningStep, Invoice


def is_suspended(owner_ref: str) -> bool:
    """Whether an owner's fees are stopped because it has not paid."""
    return DunningStep.objects.filter(
        step=DunningStep.Step.SUSPENDED,
        invoice__owner_ref=owner_ref,
        invoice__status=Invoice.Status.OPEN,
    ).exists()
