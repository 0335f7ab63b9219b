"""What a version asks for, what it is granted, and what its sandbox is given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from agentstore_sdk.manifest import _RESOURCES
from django.conf import settings as store
from hypothesis import given
from hypothesis import strategies as st

from marketplace.publishing.limits import BY_NAME, LIMITS, granted_limits
from marketplace.publishing.listings import renew_targets
from marketplace.publishing.manifest import Resources
from marketplace.publishing.models import Agent, Version
from marketplace.publishing.specs import run_spec_for
from sandbox import pool
from sandbox.models import PoolTarget
from sandbox.spec import _BOUNDS, MIB, RunSpec

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "developers.md"
IMAGE = "sha256:" + "a" * 64


def version_with(**resources) -> Version:
    return Version(semver="1.0.0", manifest={"protocol": "http", "resources": resources}, image_id=IMAGE)


def test_one_table_for_manifest_command_and_guide():
    assert set(Resources.model_fields) == set(BY_NAME) == set(_RESOURCES)
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| ([\d.,]+) \| ([\d.,]+) \| ([\d.,]+) \|", GUIDE.read_text(), re.MULTILINE
    )
    told = {name: tuple(float(cell.replace(",", "")) for cell in cells) for name, *cells in rows}
    assert told == {
        limit.name: (limit.default, limit.least, getattr(store, limit.setting)) for limit in LIMITS
    }


def test_a_manifest_of_an_older_release_gets_the_defaults():
    spec = run_spec_for(version_with(memory_mb=256, cpu=1.0, start_seconds=5, turn_seconds=9))
    assert (spec.memory_bytes, spec.cpus, spec.start_seconds, spec.turn_seconds) == (256 * MIB, 1.0, 5, 9)
    plain = RunSpec(image_id=IMAGE)
    assert (spec.pids, spec.nofile, spec.tmp_bytes, spec.answer_bytes) == (
        plain.pids, plain.nofile, plain.tmp_bytes, plain.answer_bytes,
    )  # fmt: skip


def test_every_limit_reaches_the_sandbox():
    spec = run_spec_for(
        version_with(
            memory_mb=64,
            cpu=0.25,
            processes=9,
            open_files=65,
            disk_mb=2,
            start_seconds=3,
            turn_seconds=4,
            answer_kb=5,
        )
    )
    assert spec == RunSpec(
        image_id=IMAGE, memory_bytes=64 * MIB, cpus=0.25, pids=9, nofile=65, tmp_bytes=2 * MIB,
        start_seconds=3, turn_seconds=4, answer_bytes=5 * 1024,
    )  # fmt: skip


@given(st.sampled_from(LIMITS), st.floats(0, 1e6), st.floats(0, 1e6))
def test_whatever_operators_and_manifests_say_the_sandbox_can_be_given(limit, asked, ceiling):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, limit.setting, ceiling)
        granted = granted_limits({"resources": {limit.name: max(asked, limit.least)}})[limit.name]
        assert limit.least <= granted.value <= max(limit.least, min(limit.most, ceiling))
        assert bool(granted.note) == (granted.value < granted.asked)
        version = version_with(**{limit.name: max(asked, limit.least)})
        assert run_spec_for(version).image_id == IMAGE


def test_the_bounds_are_those_of_the_sandbox():
    scale = {"memory_mb": MIB, "disk_mb": MIB, "answer_kb": 1024}
    field = {
        "memory_mb": "memory_bytes", "cpu": "cpus", "processes": "pids", "open_files": "nofile",
        "disk_mb": "tmp_bytes", "answer_kb": "answer_bytes",
    }  # fmt: skip
    for limit in LIMITS:
        low, high = _BOUNDS.get(field.get(limit.name, limit.name), (limit.least, limit.most))
        assert (limit.least * scale.get(limit.name, 1), limit.most * scale.get(limit.name, 1)) == (low, high)


def test_a_lowered_ceiling_lowers_what_is_kept_warm(studio, settings):
    agent = Agent.objects.create(developer=studio, slug="gift-finder", name="Gift Finder", tagline="Gifts.")
    version = version_with(memory_mb=256)
    version.agent, version.status = agent, Version.Status.LIVE
    version.save()
    agent.live_version, agent.status = version, Agent.Status.LISTED
    agent.save()
    pool.set_target(spec=run_spec_for(version), tenant=version.tenant, floor=0)
    assert renew_targets() == 0
    settings.AGENT_MAX_MEMORY_MB = 64
    assert renew_targets() == 1
    assert PoolTarget.objects.get().run_spec.memory_bytes == 64 * MIB
    granted = granted_limits(version.manifest)["memory_mb"]
    assert granted.note == "agent.toml asks for 256; this store allows 64."
