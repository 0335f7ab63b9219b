"""The Celery application and the beat schedule as one table."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready
from django.conf import settings

from agentstore.kit.priority import give_way

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
# A worker would run the system checks, for which every page is imported, and tell nobody what they found.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("agentstore")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# (task, every so many seconds)
BEAT = [
    ("sandbox.tasks.tend_pool", 5),
    ("sandbox.tasks.watch_hosts", 5),
    ("marketplace.shopping.tasks.reap_turns", 5),
    ("marketplace.shopping.tasks.expire_checkouts", 60),
    ("marketplace.shopping.tasks.wake_platforms", 5),
    ("marketplace.catalog.tasks.index_outbox", 2),
    ("marketplace.catalog.tasks.index_forget", 86_400),
    ("marketplace.catalog.tasks.resume_imports", 60),
    ("marketplace.catalog.tasks.pull_due_feeds", 60),
    ("marketplace.catalog.tasks.turn_dated_sales", 30),
    ("marketplace.catalog.tasks.fetch_waiting_photos", 20),
    ("marketplace.catalog.tasks.examine_texts", 5),
    ("marketplace.catalog.tasks.forget_imports", 3600),
    ("marketplace.catalog.tasks.forget_prices", 86_400),
    ("marketplace.publishing.tasks.resume_submissions", 60),
    ("marketplace.publishing.tasks.renew_targets", 60),
    ("marketplace.publishing.tasks.collect_images", 3600),
    ("marketplace.ranking.tasks.mature_conversions", 3600),
    ("marketplace.ranking.tasks.fit_ranking", 3600),
    ("billing.tasks.post_due_events", 10),
    ("billing.tasks.dispatch_webhook_events", 10),
    ("billing.tasks.roll_up_balances", 30),
    ("billing.tasks.activate_due_prices", 60),
    ("billing.tasks.close_due_months", 3600),
    ("billing.tasks.issue_prepared_invoices", 300),
    ("billing.tasks.tell_of_prices", 60),
    ("billing.tasks.send_notices", 20),
    ("billing.tasks.forget_tallies", 86_400),
    ("billing.tasks.remind_overdue_invoices", 3600),
    ("billing.tasks.settle_earnings", 3600),
    ("billing.tasks.prepare_payouts", 3600),
    ("billing.tasks.send_prepared_payouts", 300),
    ("billing.tasks.close_due_days", 600),
    ("billing.tasks.reconcile_due_days", 600),
]

app.conf.beat_schedule = {
    name.rsplit(".", 1)[1]: {"task": name, "schedule": seconds} for name, seconds in BEAT
}


@worker_ready.connect
def give_way_when_patient(sender: Any, **_: object) -> None:
    """A worker of long work alone, which nobody waits for, leaves the processor to the others once it has started."""
    if set(sender.app.amqp.queues.consume_from) <= settings.PATIENT_QUEUES:
        give_way(settings.PATIENT_NICENESS)
