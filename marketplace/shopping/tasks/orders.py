"""Background work on checkouts, payments and refunds. Each calls one service and may run twice."""

from __future__ import annotations

import uuid

from celery import shared_task

from agentstore.kit.errors import StoreError
from billing.processor.errors import ProcessorUnavailable
from marketplace.shopping import checkouts, refunds, settlement
from marketplace.shopping.ucp import confirming, discovery, settling, webhooks
from marketplace.shopping.ucp.forgetting import forget_abandoned


@shared_task(name="marketplace.shopping.tasks.settle_payment_event")
def settle_payment_event(event_id: int) -> None:
    """Do what one of the processor's events asks for; the inbox hands it out again when this fails."""
    settlement.settle_event(event_id=event_id)


@shared_task(name="marketplace.shopping.tasks.expire_checkouts")
def expire_checkouts() -> None:
    """End checkouts whose time is up, send refunds again that got lost on the way, forget what platforms left."""
    checkouts.expire_checkouts()
    refunds.resend_refunds()
    settling.refresh_waiting()
    forget_abandoned()


@shared_task(
    name="marketplace.shopping.tasks.send_refund",
    autoretry_for=(ProcessorUnavailable,),
    retry_backoff=5,
    max_retries=8,
)
def send_refund(refund_id: str) -> None:
    """Ask the processor to pay a granted refund."""
    refunds.send_refund(refund_id=uuid.UUID(refund_id))


@shared_task(name="marketplace.shopping.tasks.confirm_ucp_checkout")
def confirm_ucp_checkout(checkout_id: str) -> None:
    """Mail the buyer what a platform bought for them."""
    confirming.send_confirmation(checkout_id=checkout_id)


@shared_task(name="marketplace.shopping.tasks.refresh_ucp_profile")
def refresh_ucp_profile(platform: str) -> None:
    """Fetch a platform's profile again; what was known stays when it cannot be had."""
    try:
        discovery.refresh_profile(platform)
    except StoreError:
        return


@shared_task(name="marketplace.shopping.tasks.tell_platform")
def tell_platform(platform: str) -> None:
    """Send a platform its orders' events that are due."""
    webhooks.tell_platform(platform=platform)


@shared_task(name="marketplace.shopping.tasks.wake_platforms")
def wake_platforms() -> None:
    """Find platforms with events that are due, also those whose tasks got lost."""
    webhooks.wake_platforms()
