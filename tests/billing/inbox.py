"""The processor's events from its stand-in into the inbox, and on to the tasks that want them."""

from __future__ import annotations

import json

import stripe
from django.utils.module_loading import import_string

from billing import webhooks
from billing.models import WebhookEvent
from billing.processor.client import client
from billing.stripe_standin.events import signature
from tests.billing.standin import SECRET


def deliver_events(*, account: str = "", only: str = "") -> int:
    """Everything that the stand-in has told so far, oldest first, each handled at once; how many."""
    options: stripe.RequestOptions = {"stripe_account": account} if account else {}
    told = list(client().v1.events.list({"limit": 100}, options).auto_paging_iter())
    for event in reversed(told):
        if not event.type.startswith(only):
            continue
        body = json.dumps(event.to_dict(), default=str)
        row = webhooks.receive(body=body.encode(), signature=signature(body, SECRET))
        handle_row(row)
    return len(told)


def handle_row(row: WebhookEvent) -> None:
    """What the worker would do with it."""
    task = webhooks.task_for(row)
    if task is not None:
        import_string(task)(row.pk)
