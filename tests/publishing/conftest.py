from __future__ import annotations

import io

import pytest

from marketplace.publishing import reviews, verdicts
from marketplace.publishing.candidates import create_candidate
from marketplace.publishing.checks import REGISTRY
from marketplace.publishing.manifest import parse_manifest
from marketplace.publishing.models import Submission, Version
from marketplace.publishing.submissions import receive_bundle
from tests.bundles import manifest_text, source_bundle
from tests.sandbox.conftest import driver, engine_images, own_stack, run_dir  # noqa: F401  (fixtures)

IMAGE = "sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def own_data(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def submit(studio, alice):
    """Upload a bundle as Alice."""

    def upload(content: bytes, filename: str = "bundle.zip", **fields) -> Submission:
        return receive_bundle(
            organization=studio, by=alice, file=io.BytesIO(content), filename=filename, **fields
        )

    return upload


@pytest.fixture
def reviewable(submit):
    """A submission that passed all checks, as the pipeline leaves it, without an engine."""

    def make(version: str = "1.0.0", **changes: str):
        changes["version"] = f'"{version}"'
        submission = submit(source_bundle(**changes), filename=f"scout-{version}.zip", notes="Faster.")
        manifest = parse_manifest(manifest_text(**changes).encode(), kind="source")
        candidate = create_candidate(submission=submission, manifest=manifest)
        Version.objects.filter(pk=candidate.pk).update(image_id=IMAGE)
        for name in REGISTRY:
            verdicts.record_check(submission_id=submission.pk, name=name, passed=True, detail="Fine.")
        verdicts.conclude(submission_id=submission.pk)
        submission.refresh_from_db()
        return submission

    return make


@pytest.fixture
def live_agent(reviewable, olivia):
    """An agent whose 1.0.0 is live."""
    return reviews.approve(submission_id=reviewable().pk, by=olivia, note="").agent
