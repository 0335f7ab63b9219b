"""Credentials and known vulnerabilities: what is found, what fails, and who may see the bill of materials."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from agentstore.kit.errors import Invalid
from marketplace.publishing.advisories import find_matches, load_advisories
from marketplace.publishing.leaks import find_secrets
from marketplace.publishing.models import Advisory, Version
from marketplace.publishing.scans import judge_secrets, list_and_judge_packages
from sandbox.images import store
from sandbox.images.bill import write_bill
from sandbox.images.inventory import Package, find_packages
from tests.sandbox.archives import tar_of

pytestmark = pytest.mark.django_db
KEY = "-----BEGIN RSA PRIVATE KEY-----"


@pytest.fixture(autouse=True)
def own_images(settings, tmp_path):
    options = {"location": str(tmp_path / "images")}
    images = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "images": images}


def image_of(*layers):
    diff_ids = [store.put_layer(io.BytesIO(tar_of(*files))).diff_id for files in layers]
    return store.put_image(
        store.image_config(layers=diff_ids, command=("x",), env=(), workdir="/", labels={})
    )


def advisory(ref, ecosystem, name, *events, **fields):
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    affected = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges}
    return {"id": ref, "summary": f"about {ref}", "affected": [affected], **fields}


CRITICAL = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]
LOW = {"database_specific": {"severity": "LOW"}}
ADVISORIES = [
    advisory("GHSA-1", "PyPI", "Greeting", {"introduced": "0"}, {"fixed": "2.0"}, severity=CRITICAL),
    advisory("GHSA-2", "PyPI", "greeting", {"introduced": "1.0"}, {"last_affected": "1.5"}, **LOW),
    advisory("DSA-1", "Debian:12", "openssl", {"introduced": "0"}, {"fixed": "3.0.11-1~deb12u2"}),
    advisory("ALPINE-1", "Alpine:v3.18", "musl", {"introduced": "0"}, {"fixed": "1.2.4-r3"}),
    advisory("NPM-1", "npm", "@scope/a", {"introduced": "1.0.0-beta"}, {"fixed": "1.0.0"}),
    advisory("GONE", "PyPI", "greeting", {"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z"),
]


@pytest.fixture
def advisories(tmp_path):
    directory = tmp_path / "advisories"
    directory.mkdir()
    for told in ADVISORIES[:3]:
        (directory / f"{told['id']}.json").write_text(json.dumps(told))
    with zipfile.ZipFile(directory / "all.zip", "w") as archive:
        for told in ADVISORIES[3:]:
            archive.writestr(f"{told['id']}.json", json.dumps(told))
    call_command("load_advisories", str(directory))
    return directory


@pytest.mark.parametrize(
    ("package", "refs"),
    [
        (Package("pypi", "greeting", "1.0"), ["GHSA-1", "GHSA-2"]),
        (Package("pypi", "greeting", "1.6"), ["GHSA-1"]),
        (Package("pypi", "greeting", "2.0rc1"), ["GHSA-1"]),
        (Package("pypi", "greeting", "2.0"), []),
        (Package("pypi", "greeting", "not a version"), []),
        (Package("deb", "libssl3", "3.0.11-1~deb12u1", "openssl", "debian-12"), ["DSA-1"]),
        (Package("deb", "libssl3", "3.0.11-1~deb12u2", "openssl", "debian-12"), []),
        (Package("deb", "libssl3", "3.0.11-1~deb12u1", "openssl", "debian-13"), []),
        (Package("apk", "musl", "1.2.4-r2", "musl", "alpine-3.18.4"), ["ALPINE-1"]),
        (Package("apk", "musl", "1.2.4-r3", "musl", "alpine-3.18.4"), []),
        (Package("npm", "@scope/a", "1.0.0-rc.1"), ["NPM-1"]),
        (Package("npm", "@scope/a", "0.9.0"), []),
    ],
    ids=str,
)
def test_an_advisory_holds_for_the_versions_that_it_names(advisories, package, refs):
    assert [match.advisory for match in find_matches([package])] == refs


def test_loading_replaces_everything_or_nothing(advisories, tmp_path):
    assert Advisory.objects.count() == 5
    (tmp_path / "empty").mkdir()
    with pytest.raises(Invalid):
        load_advisories(source=tmp_path / "empty")
    (advisories / "broken.json").write_text("{")
    with pytest.raises(CommandError):
        call_command("load_advisories", str(advisories))
    assert Advisory.objects.count() == 5
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "one.json").write_text(json.dumps(ADVISORIES[0]))
    assert load_advisories(source=tmp_path / "new") == 1
    assert Advisory.objects.count() == 1
    with pytest.raises(CommandError):
        call_command("load_advisories")


METADATA = "srv/site-packages/greeting-1.0.dist-info/METADATA"


@pytest.mark.parametrize(
    ("version", "limit", "passed", "words"),
    [
        ("1.0", "critical", False, "1 package with a known vulnerability that is critical or worse"),
        ("1.0", "never", True, "lets pass"),
        ("3.0", "low", True, "none with a known vulnerability"),
    ],
)
def test_which_severity_fails_is_the_operators_choice(advisories, settings, version, limit, passed, words):
    settings.SANDBOX_ADVISORY_FAILS = limit
    image = image_of([(METADATA, f"Name: greeting\nVersion: {version}\n".encode())])
    judged = list_and_judge_packages(image_id=image.image_id, kind="image")
    assert judged.passed is passed
    assert words in judged.detail
    if not passed:
        assert judged.log[0] == "greeting 1.0: GHSA-1 (critical), repaired in 2.0. about GHSA-1"


def test_without_a_database_the_check_says_so():
    judged = list_and_judge_packages(image_id=image_of([("x", b"")]).image_id, kind="image")
    assert judged.passed
    assert "no database of known vulnerabilities" in judged.detail


def test_the_base_images_packages_are_not_held_against_a_bundle(advisories, settings):
    settings.SANDBOX_ADVISORY_FAILS = "unknown"
    status = b"Package: libssl3\nVersion: 3.0.0-1\nSource: openssl\n"
    image = image_of([("etc/os-release", b"ID=debian\nVERSION_ID=12\n"), ("var/lib/dpkg/status.d/x", status)])
    judged = list_and_judge_packages(image_id=image.image_id, kind="source")
    assert judged.passed
    assert "1 of the base image" in judged.detail
    assert not list_and_judge_packages(image_id=image.image_id, kind="image").passed


def test_credentials_are_found_in_every_layer_but_not_in_what_others_published():
    hidden = image_of([("app/key.pem", KEY.encode())], [("app/.wh.key.pem", b"")])
    assert judge_secrets(image_id=hidden.image_id).log == ["app/key.pem, line 1: Private Key"]
    published = image_of([("usr/lib/python3/dist-packages/x/test.pem", KEY.encode())])
    assert judge_secrets(image_id=published.image_id).passed


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (KEY, "Private Key"),
        ("AKIA" + "ABCDEFGH" * 2, "AWS Access Key"),
        ("sk_live_" + "a1B2" * 6, "Stripe Access Key"),
        ("ghp_" + "a1B2" * 9, "GitHub Token"),
        ("github_pat_" + "a1B2" * 15, "GitHub Token"),
        ("glpat-" + "a1B2" * 5, "GitLab Token"),
        ("AIza" + "a1B2c" * 7, "Google API Key"),
        ("sk-" + "a" * 20 + "T3BlbkFJ" + "b" * 20, "OpenAI Token"),
        ("if 'BEGIN PRIVATE KEY' in text:", ""),
        ("AKIAIOSFODNN7EXAMPLE", ""),
        ("password = 'correct horse battery staple'", ""),
    ],
)
def test_known_forms_are_found_and_guesses_are_not_made(tmp_path, content, found):
    (tmp_path / "main.py").write_text(f"\n{content}\n")
    assert find_secrets(tmp_path) == ([f"main.py, line 2: {found}"] if found else [])


def test_the_bill_is_for_the_studio_and_the_operators(client, reviewable, studio, alice, charlie, olivia):
    submission = reviewable()
    image = image_of([(METADATA, b"Name: greeting\nVersion: 1.0\n")])
    own = reverse("publishing:bill", args=[studio.slug, submission.pk])
    review = reverse("publishing:review_bill", args=[submission.pk])
    client.force_login(alice)
    assert client.get(own).status_code == 404, "it is not made yet"
    Version.objects.update(image_id=image.image_id)
    write_bill(image, find_packages(image))
    answer = client.get(own)
    assert answer.headers["Content-Type"] == "application/vnd.cyclonedx+json"
    assert 'filename="' in answer.headers["Content-Disposition"]
    assert b"pkg:pypi/greeting@1.0" in answer.content
    assert (
        own
        in client.get(reverse("publishing:submission", args=[studio.slug, submission.pk])).content.decode()
    )
    assert client.get(review).status_code in (403, 404)
    client.force_login(charlie)
    assert client.get(own).status_code == 404
    assert client.get(review).status_code in (403, 404)
    client.force_login(olivia)
    assert client.get(review).content == answer.content
