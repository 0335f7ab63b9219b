"""Membership begins when whoever verified the address accepts."""

import pytest
from allauth.account.models import EmailAddress
from django.urls import reverse

from agentstore.identity.invitations import answer_invitation, invite_member, pending_for, withdraw_invitation
from agentstore.identity.models import Invitation
from agentstore.identity.services import add_member, remove_member
from agentstore.kit.errors import Conflict, Forbidden, NotFound


@pytest.fixture
def invitation(studio, alice) -> Invitation:
    return invite_member(organization=studio, email="Charlie@Example.com", role="admin", by=alice)


def test_an_invitation_is_mailed_and_accepted(
    studio, alice, charlie, mailoutbox, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        offered = invite_member(organization=studio, email="charlie@example.com", role="admin", by=alice)
    assert mailoutbox[0].to == ["charlie@example.com"]
    assert "/organizations/" in mailoutbox[0].body
    answer_invitation(invitation_id=offered.pk, user=charlie, accept=True)
    assert studio.memberships.get(user=charlie).role == "admin"
    assert not pending_for(charlie).exists()


def test_nobody_else_accepts_it(invitation, studio, sam, bob):
    for other in (sam, bob):
        with pytest.raises(NotFound):
            answer_invitation(invitation_id=invitation.pk, user=other, accept=True)


def test_an_unverified_address_accepts_nothing(invitation, charlie):
    EmailAddress.objects.filter(user=charlie).update(verified=False)
    with pytest.raises(NotFound):
        answer_invitation(invitation_id=invitation.pk, user=charlie, accept=True)


def test_it_is_answered_once(invitation, studio, charlie):
    answer_invitation(invitation_id=invitation.pk, user=charlie, accept=False)
    with pytest.raises(NotFound):
        answer_invitation(invitation_id=invitation.pk, user=charlie, accept=True)
    assert not studio.memberships.filter(user=charlie).exists()
    invitation.refresh_from_db()
    assert (invitation.status, invitation.closed_by) == ("declined", charlie)


def test_a_second_offer_replaces_the_first(invitation, studio, alice, charlie):
    again = invite_member(organization=studio, email="charlie@example.com", role="member", by=alice)
    assert list(pending_for(charlie)) == [again]
    with pytest.raises(NotFound):
        answer_invitation(invitation_id=invitation.pk, user=charlie, accept=True)


def test_a_withdrawn_one_is_gone(invitation, studio, alice, bob, charlie):
    with pytest.raises(Forbidden):
        withdraw_invitation(invitation_id=invitation.pk, organization=studio, by=bob)
    withdraw_invitation(invitation_id=invitation.pk, organization=studio, by=alice)
    with pytest.raises(NotFound):
        answer_invitation(invitation_id=invitation.pk, user=charlie, accept=True)


def test_it_ends_with_the_power_of_whoever_invited(studio, alice, bob, charlie):
    add_member(organization=studio, user=bob, role="admin", by=alice)
    offered = invite_member(organization=studio, email="charlie@example.com", role="admin", by=bob)
    remove_member(organization=studio, user=bob, by=alice)
    with pytest.raises(Forbidden):
        answer_invitation(invitation_id=offered.pk, user=charlie, accept=True)


def test_who_may_invite_whom(studio, alice, bob, charlie):
    with pytest.raises(Forbidden):
        invite_member(organization=studio, email="x@example.com", role="member", by=bob)
    with pytest.raises(Forbidden):
        invite_member(organization=studio, email="x@example.com", role="member", by=charlie)
    with pytest.raises(Conflict):
        invite_member(organization=studio, email="bob@example.com", role="member", by=alice)
    add_member(organization=studio, user=bob, role="admin", by=alice)
    with pytest.raises(Forbidden):
        invite_member(organization=studio, email="x@example.com", role="owner", by=bob)


def test_the_pages_say_the_same_of_addresses_with_and_without_an_account(client, studio, alice, charlie):
    client.force_login(alice)
    address = reverse("identity:organization", args=["northwind-labs"])
    for email in ("charlie@example.com", "nobody@example.com"):
        answer = client.post(address, {"email": email, "role": "member"}, follow=True)
        assert f"An invitation is on its way to {email}." in answer.content.decode()


def test_an_invitation_is_answered_by_the_pages(client, invitation, studio, charlie):
    client.force_login(charlie)
    assert b"Northwind Labs" in client.get(reverse("identity:organizations")).content
    address = reverse("identity:answer_invitation", args=[invitation.pk])
    answer = client.post(address, {"answer": "accept"}, follow=True)
    assert b"Welcome to Northwind Labs." in answer.content
    assert studio.memberships.get(user=charlie).role == "admin"
