"""A version's sandbox: the limits it is granted and the trust it has earned."""

from __future__ import annotations

from marketplace.publishing.limits import granted_limits
from marketplace.publishing.models import Version
from sandbox.spec import KIB, MIB, RunSpec, Trust


def run_spec_for(version: Version) -> RunSpec:
    """How to run this version now, the operator's ceilings applied. Only a version that an operator approved
    is trusted as reviewed code.

    Raises InvalidSpec when the version has no image yet.
    """
    granted = {name: found.value for name, found in granted_limits(version.manifest).items()}
    return RunSpec(
        image_id=version.image_id,
        trust=Trust.REVIEWED if version.is_reviewed else Trust.UNTRUSTED,
        protocol=version.manifest["protocol"],
        memory_bytes=int(granted["memory_mb"] * MIB),
        cpus=granted["cpu"],
        pids=int(granted["processes"]),
        nofile=int(granted["open_files"]),
        tmp_bytes=int(granted["disk_mb"] * MIB),
        start_seconds=granted["start_seconds"],
        turn_seconds=granted["turn_seconds"],
        answer_bytes=int(granted["answer_kb"] * KIB),
    )
