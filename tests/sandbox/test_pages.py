from __future__ import annotations

import pytest
from django.urls import reverse

from sandbox.failures import Fault
from sandbox.models import Sandbox
from sandbox.pool import set_target
from sandbox.spec import RunSpec
from tests.cast import PASSWORD
from tests.sandbox.conftest import SOME_IMAGE

SPEC = RunSpec(image_id=SOME_IMAGE)


@pytest.fixture
def failed(db) -> Sandbox:
    return Sandbox.objects.create(
        image_id=SOME_IMAGE, tenant="version-1", spec=SPEC.as_json(), spec_key=SPEC.fingerprint,
        status=Sandbox.Status.FAILED, fault=Fault.AGENT, failure_code="exited",
        reason="it ended with code 7", log_tail="<script>alert(1)</script>", token_hash="abcdef0123",
    )  # fmt: skip


def pages(failed):
    return [reverse("sandbox:pool"), reverse("sandbox:detail", args=[failed.pk])]


def sign_in(client, user):
    assert client.login(email=user.email, password=PASSWORD)


def test_the_operator_sees_what_runs_and_why_things_ended(client, olivia, failed):
    sign_in(client, olivia)
    set_target(spec=SPEC, tenant="version-2", floor=3)
    page = client.get(reverse("sandbox:pool")).content.decode()
    assert "it ended with code 7" in page
    assert "version-2" in page
    detail = client.get(reverse("sandbox:detail", args=[failed.pk])).content.decode()
    assert "&lt;script&gt;alert(1)" in detail
    assert failed.token_hash not in page + detail


@pytest.mark.parametrize("show", ["", "live", "agent", "platform", "stopped", "nonsense"])
def test_every_filter_answers_with_or_without_rows(client, olivia, failed, show):
    sign_in(client, olivia)
    for _ in range(2):
        assert client.get(reverse("sandbox:pool"), {"show": show, "page": "x"}).status_code == 200
        Sandbox.objects.all().delete()


def test_for_everybody_else_the_pages_do_not_exist(client, charlie, failed):
    for url in pages(failed):
        assert client.get(url).status_code == 302
    sign_in(client, charlie)
    for url in pages(failed):
        assert client.get(url).status_code == 404


def test_the_administration_shows_and_changes_nothing(admin_client, failed):
    page = admin_client.get(reverse("admin:sandbox_sandbox_change", args=[failed.pk]))
    assert page.status_code == 200
    assert failed.token_hash not in page.content.decode()
    assert admin_client.post(reverse("admin:sandbox_sandbox_delete", args=[failed.pk])).status_code == 403
