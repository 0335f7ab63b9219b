from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.spec import MIB, InvalidSpec, RunSpec, Trust
from tests.sandbox.conftest import SOME_IMAGE

specs = st.builds(
    RunSpec,
    image_id=st.from_regex(r"\Asha256:[0-9a-f]{64}\Z"),
    trust=st.sampled_from(Trust),
    memory_bytes=st.integers(32 * MIB, 8192 * MIB),
    cpus=st.floats(0.05, 16),
    pids=st.integers(8, 1024),
    env=st.dictionaries(st.from_regex(r"\A[A-Z_]{1,10}\Z"), st.text(st.characters(exclude_characters="\0"))),
)


@given(specs)
def test_json_there_and_back(spec):
    again = RunSpec.from_json(spec.as_json())
    assert again == spec
    assert again.fingerprint == spec.fingerprint


@given(specs, specs)
def test_only_equal_specs_share_a_pool(one, other):
    assert (one.fingerprint == other.fingerprint) == (one == other)


@pytest.mark.parametrize(
    "fields",
    [
        {"image_id": "python:3.11"},
        {"image_id": "agentstore/base:latest"},
        {"memory_bytes": 1},
        {"cpus": 0},
        {"pids": 100_000},
        {"start_seconds": 100_000},
        {"env": {"LD PRELOAD": "x"}},
        {"env": {"A": "\0"}},
    ],
)
def test_what_is_outside_the_bounds_is_refused(fields):
    with pytest.raises(InvalidSpec):
        RunSpec(**{"image_id": SOME_IMAGE, **fields})


def test_unknown_fields_are_refused():
    with pytest.raises(InvalidSpec):
        RunSpec.from_json({"image_id": SOME_IMAGE, "network": "host"})
