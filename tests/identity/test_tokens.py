"""Access tokens: shown once, kept as a fingerprint, ended at once, and only by managers."""

import re

import pytest
from django.urls import reverse

from agentstore.identity.models import AccessToken
from agentstore.identity.services import add_member
from agentstore.identity.tokens import (
    MOST_TOKENS,
    TooManyTokens,
    issue_token,
    organization_by_token,
    revoke_token,
)
from agentstore.kit.errors import Forbidden, NotFound, Unauthenticated


def test_the_secret_is_shown_once_and_not_kept(client, merchant, mia):
    client.force_login(mia)
    page = reverse("identity:tokens", args=[merchant.slug])
    shown = client.post(page, {"name": "warehouse"}).content.decode()
    (secret,) = re.findall(r"agst_[\w-]{43}", shown)
    assert organization_by_token(f"Bearer {secret}", kind="merchant") == merchant
    token = AccessToken.objects.get()
    assert token.used_at is not None
    assert secret not in str(AccessToken.objects.values().get())
    assert secret not in client.get(page).content.decode()
    client.post(reverse("identity:revoke_token", args=[merchant.slug, token.pk]))
    with pytest.raises(Unauthenticated):
        organization_by_token(f"Bearer {secret}", kind="merchant")
    assert "Revoked" in client.get(page).content.decode()


def test_members_and_strangers_manage_none(client, merchant, mia, bob, charlie):
    add_member(organization=merchant, user=bob, role="member", by=mia)
    token, _ = issue_token(organization=merchant, by=mia, name="x")
    page = reverse("identity:tokens", args=[merchant.slug])
    end = reverse("identity:revoke_token", args=[merchant.slug, token.pk])
    for user, status in ((bob, 403), (charlie, 404)):
        client.force_login(user)
        assert client.get(page).status_code == status
        assert client.post(page, {"name": "x"}).status_code == status
        assert client.post(end).status_code == status
        with pytest.raises(Forbidden):
            issue_token(organization=merchant, by=user, name="x")
    assert AccessToken.objects.get().revoked_at is None


def test_another_organizations_token_is_not_there(merchant, mia, studio, alice):
    token, _ = issue_token(organization=merchant, by=mia, name="x")
    with pytest.raises(NotFound):
        revoke_token(token_id=token.pk, organization=studio, by=alice)


def test_there_is_an_end_of_tokens(merchant, mia):
    for number in range(MOST_TOKENS):
        issue_token(organization=merchant, by=mia, name=str(number))
    with pytest.raises(TooManyTokens):
        issue_token(organization=merchant, by=mia, name="one more")


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic agst_x", "Bearer agst_", "agst_x"])
def test_nothing_else_is_a_token(header):
    with pytest.raises(Unauthenticated):
        organization_by_token(header, kind="merchant")
