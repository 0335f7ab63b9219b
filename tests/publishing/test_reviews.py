from __future__ import annotations

import threading

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction

from agentstore.kit.errors import Conflict, Forbidden, Invalid, NotFound
from marketplace.publishing import listings, reviews
from marketplace.publishing.errors import AlreadyDecided, NoteRequired, NothingToRollBackTo, NotLive
from marketplace.publishing.models import Agent, Notice, Version
from marketplace.publishing.notices import send_notice
from marketplace.publishing.specs import run_spec_for
from sandbox.models import PoolTarget
from sandbox.spec import Trust


def test_approval_goes_live_and_warms_sandboxes_as_reviewed_code(reviewable, olivia):
    submission = reviewable()
    assert run_spec_for(submission.version).trust == Trust.UNTRUSTED
    version = reviews.approve(submission_id=submission.pk, by=olivia, note="Well done.")
    agent = listings.get_live_agent("bargain-scout")
    assert agent.live_version == version
    assert run_spec_for(version).trust == Trust.REVIEWED
    target = PoolTarget.objects.get(tenant=version.tenant)
    assert target.run_spec == run_spec_for(version)
    item = submission.review_item
    item.refresh_from_db()
    assert (item.decision, item.decided_by, item.note) == ("approved", olivia, "Well done.")
    who = {(change.to_status, change.by) for change in agent.status_changes.all()}
    assert ("listed", olivia) in who


def test_the_next_version_retires_the_one_before(reviewable, live_agent, olivia):
    second = reviews.approve(submission_id=reviewable("1.1.0").pk, by=olivia, note="")
    assert [v.status for v in live_agent.versions.order_by("created_at")] == ["retired", "live"]
    assert list(PoolTarget.objects.values_list("tenant", flat=True)) == [second.tenant]


def test_only_operators_decide(reviewable, alice, charlie):
    submission = reviewable()
    for person in (alice, charlie):
        with pytest.raises(NotFound):
            reviews.approve(submission_id=submission.pk, by=person, note="Let me.")
        with pytest.raises(NotFound):
            reviews.reject(submission_id=submission.pk, by=person, note="No.")
    assert not listings.live_agents().exists()


def test_a_rejection_says_why_and_is_mailed(reviewable, olivia):
    submission = reviewable()
    with pytest.raises(NoteRequired):
        reviews.reject(submission_id=submission.pk, by=olivia, note="  ")
    reviews.reject(submission_id=submission.pk, by=olivia, note="It asks for too much.")
    submission.refresh_from_db()
    assert (submission.status, submission.version.status) == ("rejected", "rejected")
    assert reviewable().version.semver == "1.0.0", "the number of a rejected version is free again"
    send_notice(submission_id=submission.pk, kind=Notice.Kind.DECISION)
    assert "It asks for too much." in mail.outbox[0].body


def test_a_decision_is_made_once(reviewable, olivia):
    submission = reviewable()
    reviews.approve(submission_id=submission.pk, by=olivia, note="")
    with pytest.raises(AlreadyDecided):
        reviews.reject(submission_id=submission.pk, by=olivia, note="Second thoughts.")


@pytest.mark.django_db(transaction=True)
def test_two_operators_at_the_same_moment(reviewable, olivia):
    submission = reviewable()
    outcomes, gate = [], threading.Barrier(2)

    def decide(decision, note) -> None:
        gate.wait()
        try:
            decision(submission_id=submission.pk, by=olivia, note=note)
            outcomes.append(decision.__name__)
        except AlreadyDecided:
            outcomes.append("late")
        connection.close()

    threads = [
        threading.Thread(target=decide, args=(reviews.approve, "")),
        threading.Thread(target=decide, args=(reviews.reject, "No.")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("late") == 1
    submission.refresh_from_db()
    assert submission.status_changes.filter(to_status__in=["approved", "rejected"]).count() == 1


def test_suspension_stops_serving_at_once_and_reinstatement_brings_it_back(live_agent, olivia, alice):
    with pytest.raises(NotFound):
        listings.suspend_agent(agent=live_agent, by=alice, reason="Competition.")
    with pytest.raises(NoteRequired):
        listings.suspend_agent(agent=live_agent, by=olivia, reason=" ")
    listings.suspend_agent(agent=live_agent, by=olivia, reason="It misled shoppers.")
    with pytest.raises(NotLive):
        listings.get_live_agent(live_agent.slug)
    assert not PoolTarget.objects.exists()
    with pytest.raises(Conflict):
        listings.suspend_agent(agent=live_agent, by=olivia, reason="Again.")
    listings.reinstate_agent(agent=live_agent, by=olivia)
    assert listings.get_live_agent(live_agent.slug).live_version == live_agent.live_version
    assert PoolTarget.objects.exists()


def test_a_suspended_agent_stays_so_when_a_version_is_approved(reviewable, live_agent, olivia):
    submission = reviewable("1.1.0")
    listings.suspend_agent(agent=live_agent, by=olivia, reason="It misled shoppers.")
    reviews.approve(submission_id=submission.pk, by=olivia, note="")
    live_agent.refresh_from_db()
    assert (live_agent.status, live_agent.live_version.semver) == ("suspended", "1.1.0")
    assert not PoolTarget.objects.exists()


def test_rolling_back_makes_the_version_before_live(reviewable, live_agent, olivia, alice, bob, charlie):
    with pytest.raises(NothingToRollBackTo):
        listings.roll_back(agent=live_agent, by=alice, reason="")
    reviews.approve(submission_id=reviewable("1.1.0").pk, by=olivia, note="")
    with pytest.raises(Forbidden):
        listings.roll_back(agent=live_agent, by=bob, reason="I am a member only.")
    with pytest.raises(NotFound):
        listings.roll_back(agent=live_agent, by=charlie, reason="Mischief.")
    assert listings.roll_back(agent=live_agent, by=alice, reason="It was slow.").semver == "1.0.0"
    live_agent.refresh_from_db()
    assert live_agent.live_version.semver == "1.0.0"
    with pytest.raises(NothingToRollBackTo):
        listings.roll_back(agent=live_agent, by=alice, reason="Further.")


def test_the_database_keeps_one_live_version_and_no_empty_listing(live_agent):
    with pytest.raises(IntegrityError), transaction.atomic():
        Version.objects.create(
            agent=live_agent, semver="2.0.0", manifest={}, image_id="x", bundle_sha256="y", status="live"
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        Agent.objects.filter(pk=live_agent.pk).update(live_version=None)


def test_the_listings_words_are_the_managers_to_change(live_agent, alice, bob, charlie):
    listings.edit_listing(agent=live_agent, by=alice, tagline="Cheaper.", description="Much.")
    assert listings.get_live_agent(live_agent.slug).tagline == "Cheaper."
    with pytest.raises(Invalid):
        listings.edit_listing(agent=live_agent, by=alice, tagline=" ", description="")
    with pytest.raises(Forbidden):
        listings.edit_listing(agent=live_agent, by=bob, tagline="Mine.", description="")
    with pytest.raises(NotFound):
        listings.edit_listing(agent=live_agent, by=charlie, tagline="Mine.", description="")
