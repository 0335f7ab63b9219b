"""Background work on checkouts, payments and refunds. Each calls one service and may run twice."""

from __future__ import annotations

import uuid

from celery import shared_task

from billing.processor.errors import ProcessorUnavailable
from marketplace.shopping import checkouts, refunds, settlement


@shared_task(name="marketplace.shopping.tasks.settle_payment_event")
def settle_payment_event(event_id: int) -> None:
    """Do what one of the processor's events asks for; the inbox hands it out again when this fails."""
    settlement.settle_event(event_id=event_id)


@shared_task(name="marketplace.shopping.tasks.expire_checkouts")
def expire_checkouts() -> None:
    """End checkouts whose time is up, and send refunds again that got lost on the way."""
    checkouts.expire_checkouts()
    refunds.resend_refunds()


@shared_task(
    name="marketplace.shopping.tasks.send_refund",
    autoretry_for=(ProcessorUnavailable,),
    retry_backoff=5,
    max_retries=8,
)
def send_refund(refund_id: str) -> None:
    """Ask the processor to pay a granted refund."""
    refunds.send_refund(refund_id=uuid.UUID(refund_id))
