"""A version's sandbox: the limits its manifest asks for and the trust it has earned."""

from __future__ import annotations

from marketplace.publishing.models import Version
from sandbox.spec import MIB, RunSpec, Trust


def run_spec_for(version: Version) -> RunSpec:
    """How to run this version. Only a version that an operator approved is trusted as reviewed code.

    Raises InvalidSpec when the version has no image yet.
    """
    resources = version.manifest["resources"]
    return RunSpec(
        image_id=version.image_id,
        trust=Trust.REVIEWED if version.is_reviewed else Trust.UNTRUSTED,
        protocol=version.manifest["protocol"],
        memory_bytes=resources["memory_mb"] * MIB,
        cpus=resources["cpu"],
        start_seconds=resources["start_seconds"],
        turn_seconds=resources["turn_seconds"],
    )
