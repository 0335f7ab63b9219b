"""What is done with a submission, step by step: unpack, build, start. Then the rehearsal takes over.

Every step may run twice and be killed anywhere. It is leased by `submissions.take`, redoes its outside work
(bundles and images are named by their content, sandboxes by their claim), writes results that replace earlier
ones, and moves the submission on in the end. A check that fails is the developer's to repair; anything else
that goes wrong is ours, is told as such and is tried again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.template.defaultfilters import filesizeformat

from agentstore.kit.errors import StoreError
from marketplace.publishing import scans, submissions, verdicts
from marketplace.publishing.bundles import OpenBundle, open_bundle
from marketplace.publishing.candidates import create_candidate
from marketplace.publishing.errors import BundleRefused, ManifestInvalid
from marketplace.publishing.leaks import find_secrets
from marketplace.publishing.manifest import Manifest, parse_manifest
from marketplace.publishing.models import Submission, Version
from marketplace.publishing.specs import run_spec_for
from sandbox import images, pool, protocols
from sandbox.driver import Driver, DriverError, NoDriver
from sandbox.drivers import chosen_driver
from sandbox.examining import aexamine
from sandbox.failures import Fault, StartFailed, explain
from sandbox.strain import Strain, limits_met

log = structlog.get_logger(__name__)
Status = Submission.Status
_PING_SECONDS = 5.0
_LOG_LINES = 40


class CheckFailed(Exception):
    """Ends a step: the check was recorded as failed, so the verdict is known."""


def unpack_submission(*, submission_id: uuid.UUID | str) -> None:
    """First step: unpack, read the manifest, look for credentials, make the candidate version."""
    _run(submission_id, Status.RECEIVED, Status.BUILDING, _unpack)


def build_submission(*, submission_id: uuid.UUID | str) -> None:
    """Second step, on a worker that may speak to the container engine: make or load the image, look at it."""
    _run(submission_id, Status.BUILDING, Status.CHECKING, _build)


def check_submission(*, submission_id: uuid.UUID | str) -> None:
    """Third step: start it as untrusted code in a sandbox and ask for its health; then hand it to the
    rehearsal.
    """
    _run(submission_id, Status.CHECKING, Status.REHEARSING, _start)


def _run(submission_id: uuid.UUID | str, from_: str, to: str, step: Callable[[Submission], None]) -> None:
    submission = submissions.take(submission_id=submission_id, status=from_)
    if submission is None:
        return
    try:
        step(submission)
    except CheckFailed:
        verdicts.conclude(submission_id=submission_id)
    except (StoreError, OSError) as trouble:
        log.warning(
            "publishing.trouble", submission=str(submission_id), step=from_, error=repr(trouble)[:300]
        )
        words = trouble.message if isinstance(trouble, StoreError) else "A disk or connection of ours failed."
        submissions.report_trouble(submission_id=submission_id, message=words)
    except Exception:
        submissions.report_trouble(submission_id=submission_id, message="An error of ours; it is in our log.")
        raise
    else:
        submissions.advance(submission_id=submission_id, from_=from_, to=to)


def _unpack(submission: Submission) -> None:
    started = time.monotonic()
    try:
        with open_bundle(submission.bundle_sha256) as bundle:
            found = bundle.unpacked
            detail = f"{found.files:,} files, {filesizeformat(found.size)} unpacked ({bundle.kind} bundle)."
            _record(submission, "archive_safe", True, detail, since=started)
            Submission.objects.filter(pk=submission.pk).update(kind=bundle.kind)
            _read_manifest(submission, bundle)
            _look_for_secrets(submission, bundle)
    except BundleRefused as refused:
        raise _failed(
            submission, "archive_safe", refused.message, hint=refused.hint, since=started
        ) from refused


def _read_manifest(submission: Submission, bundle: OpenBundle) -> None:
    try:
        manifest = parse_manifest(bundle.manifest_text, kind=bundle.kind)
        create_candidate(submission=submission, manifest=manifest)
    except ManifestInvalid as invalid:
        lines = [f"{field}: {problem}" if field else problem for field, problem in invalid.problems]
        raise _failed(
            submission,
            "manifest_valid",
            f"agent.toml has {len(lines)} problem{'s' if len(lines) > 1 else ''}.",
            log=lines,
        ) from invalid
    _record(
        submission,
        "manifest_valid",
        True,
        f"{manifest.name} {manifest.version}, speaking {manifest.protocol}.",
    )


def _look_for_secrets(submission: Submission, bundle: OpenBundle) -> None:
    if bundle.kind == "image":
        # Its layers are searched when they are in the store.
        return
    if findings := find_secrets(bundle.root):
        raise _failed(
            submission, "no_secrets", "The bundle holds what looks like credentials.", log=findings,
            hint="Remove them and revoke them: whoever had the file has them.",
        )  # fmt: skip
    _record(submission, "no_secrets", True, "Nothing that looks like a credential was found.")


def _build(submission: Submission) -> None:
    version = _version(submission)
    manifest = Manifest.model_validate(version.manifest)
    started = time.monotonic()
    try:
        with open_bundle(submission.bundle_sha256) as bundle:
            if bundle.image is not None:
                built = images.load_archive(bundle.image)
            else:
                built = images.build_source(
                    bundle_dir=bundle.root, runtime=manifest.runtime or "", command=manifest.command or [],
                    driver=_compiling_driver(),
                )  # fmt: skip
    except images.ImageRefused as refused:
        raise _failed(
            submission, "image_inspected", refused.message, hint=refused.hint, since=started
        ) from refused
    evidence = {"image_id": built.image_id, "size": built.size, "command": list(built.command), **built.facts}
    detail = f"{built.image_id[:19]}…, {filesizeformat(built.size)}, runs {' '.join(built.command)[:200]}"
    _record(submission, "image_inspected", True, detail, since=started, **evidence)
    _scan(submission, built.image_id, bundle.kind)
    Version.objects.filter(pk=version.pk).update(image_id=built.image_id)


def _scan(submission: Submission, image_id: str, kind: str) -> None:
    started = time.monotonic()
    if kind == "image":
        secrets = scans.judge_secrets(image_id=image_id)
        _record(submission, "no_secrets", secrets.passed, secrets.detail, since=started, log=secrets.log)
        if not secrets.passed:
            raise CheckFailed("no_secrets")
    judged = scans.list_and_judge_packages(image_id=image_id, kind=kind)
    _record(
        submission, "no_known_flaws", judged.passed, judged.detail, since=started, log=judged.log,
        **judged.evidence,
    )  # fmt: skip
    if not judged.passed:
        raise CheckFailed("no_known_flaws")


def _compiling_driver() -> Driver | None:
    """Whom to compile with. Without one the image is made all the same, and starts more slowly."""
    try:
        return chosen_driver()
    except (DriverError, NoDriver):
        return None


def _start(submission: Submission) -> None:
    version = _version(submission)
    spec = run_spec_for(version)
    wait = spec.start_seconds * 2 + settings.CHECK_PLACE_SECONDS
    started = time.monotonic()
    try:
        claimed = pool.claim(
            spec=spec, tenant=version.tenant, claim_key=f"check:{submission.pk}", wait_seconds=wait
        )
    except StartFailed as failed:
        if failed.fault != Fault.AGENT:
            raise
        raise _start_failed(submission, failed, started) from failed
    try:
        detail = f"Ready in a sandbox; the limit is {spec.start_seconds:g} s."
        _record(submission, "starts_in_time", True, detail, since=started)
        asked = time.monotonic()
        adapter = protocols.for_name(spec.protocol)
        if not async_to_sync(adapter.is_ready)(claimed.door, _PING_SECONDS):
            found = async_to_sync(aexamine)(sandbox_id=claimed.id, wait_seconds=_PING_SECONDS)
            raise _failed(
                submission, "answers_ping", f"No healthy answer within {_PING_SECONDS:g} s.", since=asked,
                hint=explain(found.code or "not_healthy").hint if found else explain("not_healthy").hint,
                log=_log_lines(found.log_tail, found.strain) if found else [],
            )  # fmt: skip
        _record(submission, "answers_ping", True, "It says that it is healthy.", since=asked)
    finally:
        pool.release(sandbox_id=claimed.id, reason="checked")


def _start_failed(submission: Submission, failed: StartFailed, started: float) -> CheckFailed:
    """A sandbox that started but never said that it is healthy fails the health check, not the start."""
    name = "starts_in_time"
    if failed.code == "not_healthy":
        _record(submission, name, True, "It started.", since=started)
        name = "answers_ping"
    lines = _log_lines(failed.log_tail, failed.strain)
    return _failed(submission, name, failed.message, hint=failed.hint, log=lines, since=started)


def _log_lines(log_tail: str, strain: Strain) -> list[str]:
    """The limits that it met, then the end of its log. Nobody but the platform has spoken to it yet."""
    return [*limits_met(strain, log_tail), *log_tail.splitlines()[-_LOG_LINES:]]


def _version(submission: Submission) -> Version:
    return Version.objects.get(submission=submission)


def _failed(submission: Submission, name: str, detail: str, *, hint: str = "", **rest: Any) -> CheckFailed:
    _record(submission, name, False, f"{detail} {hint}".strip(), **rest)
    return CheckFailed(name)


def _record(
    submission: Submission,
    name: str,
    passed: bool,
    detail: str,
    *,
    since: float | None = None,
    **evidence: Any,
) -> None:
    took = None if since is None else int((time.monotonic() - since) * 1000)
    verdicts.record_check(
        submission_id=submission.pk,
        name=name,
        passed=passed,
        detail=detail,
        evidence=evidence,
        duration_ms=took,
    )
