"""Submitting a bundle, and the verdict page that follows the checks while they run."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from agentstore.kit.errors import Invalid, NotFound, Refused
from marketplace.publishing import submissions
from marketplace.publishing.forms import BundleForm
from marketplace.publishing.models import Submission
from marketplace.publishing.progress import progress_of
from marketplace.publishing.views.developer import studio_for
from sandbox.images.bill import MEDIA_TYPE, read_bill


@require_http_methods(["GET", "POST"])
def submit(request: HttpRequest, org: str) -> HttpResponse:
    """The upload form; a bundle that was taken leads to its verdict page."""
    studio = studio_for(request, org)
    form = BundleForm(request.POST, request.FILES) if request.method == "POST" else BundleForm()
    if form.is_bound and form.is_valid():
        bundle = form.cleaned_data["bundle"]
        try:
            submission = submissions.receive_bundle(
                organization=studio, by=request.user, file=bundle, filename=bundle.name,
                notes=form.cleaned_data["notes"],
            )  # fmt: skip
        except (Invalid, Refused) as refused:
            form.add_error("bundle", f"{refused.message} {refused.hint}".strip())
        else:
            return redirect("publishing:submission", studio.slug, submission.pk)
    status = 422 if form.errors else 200
    return render(request, "developer/submit.html", {"studio": studio, "form": form}, status=status)


@require_GET
@never_cache
def submission(request: HttpRequest, org: str, submission: uuid.UUID) -> HttpResponse:
    """The verdict page."""
    return render(request, "developer/submission.html", _context(request, org, submission))


@require_GET
@never_cache
def progress(request: HttpRequest, org: str, submission: uuid.UUID) -> HttpResponse:
    """The part of the verdict page that asks for itself again while the submission is open."""
    return render(request, "developer/_progress.html", _context(request, org, submission))


@require_GET
def bill(request: HttpRequest, org: str, submission: uuid.UUID) -> HttpResponse:
    """The image's bill of materials, to keep."""
    studio = studio_for(request, org)
    return bill_of(get_object_or_404(Submission, organization=studio, pk=submission))


def bill_of(submission: Submission) -> HttpResponse:
    """The bill of a submission's image as a file. Raises NotFound before there is one."""
    version = submission.version
    if version is None:
        raise NotFound("There is no image for this submission yet.")
    response = HttpResponse(read_bill(version.image_id), content_type=MEDIA_TYPE)
    name = f"{version.agent.slug}-{version.semver}.cdx.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _context(request: HttpRequest, org: str, submission: uuid.UUID) -> dict[str, Any]:
    studio = studio_for(request, org)
    mine = Submission.objects.select_related("version__agent", "verdict", "review_item", "submitted_by")
    found = get_object_or_404(mine, organization=studio, pk=submission)
    return {"studio": studio, "submission": found, "progress": progress_of(found)}
