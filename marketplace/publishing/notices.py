"""Mails to the developer: the verdict, and the operator's decision."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse

from agentstore.kit.mail import build_message
from marketplace.publishing.checks import REGISTRY
from marketplace.publishing.models import Notice, Submission


def send_notice(*, submission_id: uuid.UUID | str, kind: str) -> bool:
    """Mail whoever uploaded the submission; False when that mail went out before.

    At most once: the row comes first, so a worker that is killed in between sends nothing, and the page still
    tells.
    """
    submission = Submission.objects.select_related(
        "organization", "submitted_by", "version__agent", "verdict", "review_item"
    ).get(pk=submission_id)
    _, new = Notice.objects.get_or_create(submission=submission, kind=Notice.Kind(kind))
    if not new:
        return False
    path = reverse("publishing:submission", args=[submission.organization.slug, submission.pk])
    context = {
        "submission": submission,
        "name": _name(submission),
        "failed": [(REGISTRY[check.name], check) for check in submission.checks.filter(passed=False)],
        "address": settings.SITE_URL.rstrip("/") + path,
        "site_name": settings.SITE_NAME,
    }
    subject, _, body = render_to_string(f"email/publishing_{kind}.txt", context).strip().partition("\n")
    build_message(
        subject=subject, text=body, to=[submission.submitted_by.email], action="See the submission"
    ).send()
    return True


def _name(submission: Submission) -> str:
    return str(submission.version) if submission.version else submission.filename
