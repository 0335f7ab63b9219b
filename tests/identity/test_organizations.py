"""Organizations and their members. Charlie, who is nobody's colleague, is refused everywhere."""

import threading

import pytest
from django.db import connection, transaction
from django.urls import reverse

from agentstore.identity.access import organization_for, require_operator, require_signed_in
from agentstore.identity.models import Membership, MembershipEvent, Organization
from agentstore.identity.services import LastOwner, add_member, create_organization, remove_member
from agentstore.kit.errors import Conflict, Forbidden, Invalid, NotFound, StoreError, Unauthenticated
from tests.conversations.world import until
from tests.database import somebody_waits_for_a_lock


def roles(organization) -> dict[str, str]:
    return {one.user.name: one.role for one in organization.memberships.select_related("user")}


def test_whoever_makes_an_organization_owns_it(alice):
    made = create_organization(kind="developer", name="  Tiny Ribbon Co ", owner=alice, country="DE")
    assert (made.name, made.slug, made.country) == ("Tiny Ribbon Co", "tiny-ribbon-co", "DE")
    assert roles(made) == {"Alice": "owner"}
    assert made.ref == f"org:{made.id}"


@pytest.mark.parametrize("name", ["", "   ", "!!!", "New"])
def test_a_name_without_an_address_is_refused(alice, name):
    with pytest.raises(Invalid):
        create_organization(kind="developer", name=name, owner=alice)


def test_a_taken_name_is_refused(studio, charlie):
    with pytest.raises(Conflict):
        create_organization(kind="merchant", name="Northwind  LABS", owner=charlie)
    assert Organization.objects.count() == 1


def test_members_find_their_organization_and_strangers_nothing(studio, alice, bob, charlie):
    assert organization_for(bob, "northwind-labs", kind="developer") == studio
    assert organization_for(alice, "northwind-labs", kind="developer", roles=["owner"]) == studio
    with pytest.raises(Forbidden):
        organization_for(bob, "northwind-labs", kind="developer", roles=["owner"])
    for stranger, kind in [
        (charlie, "developer"),
        (alice, "merchant"),
        (bob, "merchant"),
        (None, "developer"),
    ]:
        with pytest.raises(NotFound):
            organization_for(stranger, "northwind-labs", kind=kind, roles=["owner"])


def test_only_operators_find_the_operators_pages(olivia, alice):
    require_operator(olivia)
    with pytest.raises(NotFound):
        require_operator(alice)
    with pytest.raises(Unauthenticated):
        require_signed_in(None)


@pytest.mark.parametrize("role", ["member", "admin", "owner"])
def test_charlie_adds_and_removes_nobody(studio, bob, charlie, role):
    with pytest.raises(Forbidden):
        add_member(organization=studio, user=charlie, role=role, by=charlie)
    with pytest.raises(Forbidden):
        remove_member(organization=studio, user=bob, by=charlie)
    with pytest.raises(Forbidden):
        remove_member(organization=studio, user=charlie, by=charlie)
    assert roles(studio) == {"Alice": "owner", "Bob": "member"}


def test_an_admin_manages_members_but_no_owners(studio, alice, bob, charlie):
    add_member(organization=studio, user=bob, role="admin", by=alice)
    add_member(organization=studio, user=charlie, role="member", by=bob)
    for refused in (
        lambda: add_member(organization=studio, user=charlie, role="owner", by=bob),
        lambda: add_member(organization=studio, user=bob, role="owner", by=bob),
        lambda: add_member(organization=studio, user=alice, role="member", by=bob),
        lambda: remove_member(organization=studio, user=alice, by=bob),
    ):
        with pytest.raises(Forbidden):
            refused()
    remove_member(organization=studio, user=charlie, by=bob)
    assert roles(studio) == {"Alice": "owner", "Bob": "admin"}


def test_the_last_owner_stays(studio, alice, bob):
    with pytest.raises(LastOwner):
        remove_member(organization=studio, user=alice, by=alice)
    with pytest.raises(LastOwner):
        add_member(organization=studio, user=alice, role="member", by=alice)
    add_member(organization=studio, user=bob, role="owner", by=alice)
    remove_member(organization=studio, user=alice, by=alice)
    assert roles(studio) == {"Bob": "owner"}


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_leave_at_once_one_stays(studio, alice, bob):
    add_member(organization=studio, user=bob, role="owner", by=alice)
    refused = []

    def leave():
        try:
            remove_member(organization=studio, user=bob, by=bob)
        except LastOwner as error:
            refused.append(error)
        finally:
            connection.close()

    bob_leaves = threading.Thread(target=leave)
    with transaction.atomic():
        remove_member(organization=studio, user=alice, by=alice)
        bob_leaves.start()
        until(somebody_waits_for_a_lock)
    bob_leaves.join(timeout=20)
    assert len(refused) == 1
    assert roles(studio) == {"Bob": "owner"}


def test_every_change_leaves_a_row(studio, alice, bob):
    add_member(organization=studio, user=bob, role="admin", by=alice)
    add_member(organization=studio, user=bob, role="admin", by=alice)
    remove_member(organization=studio, user=bob, by=alice)
    events = MembershipEvent.objects.filter(user=bob).order_by("id").values_list("kind", "role", "by__name")
    assert list(events) == [
        ("joined", "member", "Alice"),
        ("role_changed", "admin", "Alice"),
        ("removed", "admin", "Alice"),
    ]


def page(organization, name="organization", **kwargs) -> str:
    return reverse(f"identity:{name}", kwargs={"slug": organization.slug, **kwargs})


@pytest.mark.parametrize("who", ["charlie", None])
def test_every_page_of_it_is_closed_to_others(client, request, studio, bob, who):
    if who:
        client.force_login(request.getfixturevalue(who))
    expected = 404 if who else 302
    assert client.get(page(studio)).status_code == expected
    for address in (
        page(studio, "change_role", member=bob.pk),
        page(studio, "remove_member", member=bob.pk),
        page(studio, "withdraw_invitation", invitation=bob.pk),
    ):
        assert client.post(address, {"role": "owner"}).status_code == expected
    assert roles(studio) == {"Alice": "owner", "Bob": "member"}


def test_a_member_sees_colleagues_and_manages_nobody(client, studio, alice, bob):
    client.force_login(bob)
    shown = client.get(page(studio)).content.decode()
    assert "alice@example.com" in shown
    assert "Invite somebody" not in shown
    assert client.post(page(studio), {"email": "x@example.com", "role": "member"}).status_code == 403
    assert client.post(page(studio, "change_role", member=bob.pk), {"role": "owner"}).status_code == 403


def test_an_owner_changes_roles_and_leaves_by_the_pages(client, studio, alice, bob):
    client.force_login(alice)
    assert client.post(page(studio, "change_role", member=bob.pk), {"role": "king"}).status_code == 400
    assert client.post(page(studio, "remove_member", member=alice.pk)).status_code == 409
    client.post(page(studio, "change_role", member=bob.pk), {"role": "owner"})
    answer = client.post(page(studio, "remove_member", member=alice.pk), follow=True)
    assert b"You left Northwind Labs" in answer.content
    assert roles(studio) == {"Bob": "owner"}


def test_an_organization_is_made_by_the_page(client, charlie):
    client.force_login(charlie)
    address = reverse("identity:create_organization")
    assert client.post(address, {"kind": "merchant", "name": "!", "country": "US"}).status_code == 422
    assert client.post(address, {"kind": "bank", "name": "Acme", "country": "US"}).status_code == 422
    answer = client.post(address, {"kind": "merchant", "name": "Acme", "country": "de"}, follow=True)
    assert answer.redirect_chain[-1][0] == "/organizations/acme/"
    membership = Membership.objects.get(user=charlie)
    assert (membership.organization.country, membership.role) == ("DE", "owner")


def test_refusals_are_typed():
    assert issubclass(LastOwner, StoreError)
    assert LastOwner.code == "last_owner"
