from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.publishing.errors import ManifestInvalid
from marketplace.publishing.manifest import parse_manifest
from tests.bundles import manifest_text


def test_a_full_manifest_is_read_with_its_defaults():
    manifest = parse_manifest(manifest_text().encode(), kind="source")
    assert manifest.as_json()["resources"] == {
        "memory_mb": 64, "cpu": 0.5, "processes": 64, "open_files": 1024, "disk_mb": 32,
        "start_seconds": 10, "turn_seconds": 20, "answer_kb": 1024, "calls_per_turn": 80,
    }  # fmt: skip
    assert (manifest.slug, manifest.command) == ("bargain-scout", ["python3", "main.py"])


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"slug": '"Bargain Scout"'}, "slug", "small letters"),
        ({"slug": ""}, "slug", "is missing"),
        ({"version": '"1.0"'}, "version", "semantic version"),
        ({"version": "1"}, "version", "text in quotes"),
        ({"protocol": '"telepathy"'}, "protocol", "not spoken here"),
        ({"skills": '["mind_reading"]'}, "skills[0]", "must be one of"),
        ({"permissions": '["catalog", "catalog"]'}, "permissions", "twice"),
        ({"memory_mb": "100000"}, "resources.memory_mb", "allows at most 512"),
        ({"memory_mb": '"64"'}, "resources.memory_mb", "whole number"),
        ({"turn_seconds": "0"}, "resources.turn_seconds", "at least 1"),
        ({"processes": "4"}, "resources.processes", "at least 8"),
        ({"open_files": "5000"}, "resources.open_files", "allows at most 4096"),
        ({"disk_mb": "1.5"}, "resources.disk_mb", "whole number"),
        ({"answer_kb": "9999"}, "resources.answer_kb", "allows at most 4096"),
        ({"calls_per_turn": "true"}, "resources.calls_per_turn", "whole number"),
        ({"cpu": "nan"}, "resources.cpu", ""),
        ({"command": ""}, "command", "is missing"),
        ({"runtime": '"cobol"'}, "runtime", "must be one of"),
        ({"tagline": '"two\\nlines"'}, "tagline", "one line"),
        ({"description": '"\\u0000"'}, "", "zero character"),
    ],
)
def test_a_refusal_points_at_the_field_in_words(changes, field, words):
    with pytest.raises(ManifestInvalid) as refused:
        parse_manifest(manifest_text(**changes).encode(), kind="source")
    problems = dict(refused.value.problems)
    assert field in problems, problems
    assert words in problems[field]


def test_categories_may_lie_below_the_roots():
    said = 'categories = ["clothing--baby-shirts", "home"]\n' + manifest_text()
    assert parse_manifest(said.encode(), kind="source").categories == ["clothing--baby-shirts", "home"]
    with pytest.raises(ManifestInvalid) as refused:
        parse_manifest(said.replace("--", " > ").encode(), kind="source")
    assert "such as clothing--shirts" in dict(refused.value.problems)["categories[0]"]


def test_all_problems_are_told_at_once():
    with pytest.raises(ManifestInvalid) as refused:
        parse_manifest(b'name = ""\ncolour = "red"\n', kind="source")
    assert {"name", "colour", "slug", "version", "tagline"} <= dict(refused.value.problems).keys()


def test_an_image_brings_its_own_command():
    with pytest.raises(ManifestInvalid, match="source bundles only"):
        parse_manifest(manifest_text().encode(), kind="image")
    assert parse_manifest(manifest_text(runtime="", command="").encode(), kind="image").command is None


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_a_type(content):
    with pytest.raises(ManifestInvalid):
        parse_manifest(content, kind="source")
