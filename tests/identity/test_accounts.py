"""Signing up, in and out, by the pages; mails; second factors; the operator's administration."""

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from cryptography.fernet import InvalidToken

from agentstore.identity.models import User
from tests.cast import PASSWORD


def follow_link(body: str) -> str:
    """The path of the first address in a mail."""
    found = re.search(r"https?://[^/\s]+(/\S+)", body)
    assert found
    return found[1]


def test_a_person_signs_up_confirms_and_signs_in(client, db, mailoutbox):
    answer = client.post(
        "/account/signup/", {"email": "Nina@example.com", "password1": PASSWORD}, follow=True
    )
    assert answer.status_code == 200
    assert User.objects.get().email == "nina@example.com"
    refused = client.post("/account/login/", {"login": "nina@example.com", "password": PASSWORD}, follow=True)
    assert not refused.wsgi_request.user.is_authenticated

    mail = mailoutbox[0]
    assert mail.subject == "Confirm your e-mail address"
    ((html, kind),) = mail.alternatives
    link = follow_link(mail.body)
    assert kind == "text/html"
    assert f'{link}">Confirm the address' in html
    assert client.get(link).status_code == 200
    assert not EmailAddress.objects.get().verified, "a mail scanner that opens the link confirms nothing"
    client.post(link)
    assert EmailAddress.objects.get().verified

    answer = client.post("/account/login/", {"login": "nina@example.com", "password": PASSWORD})
    assert answer.status_code == 302
    assert client.get("/profile/").status_code == 200
    client.post("/account/logout/")
    assert client.get("/profile/").status_code == 302


def test_a_wrong_password_says_nothing_of_the_account(client, sam):
    texts = []
    for email in ("sam@example.com", "nobody@example.com"):
        page = client.post("/account/login/", {"login": email, "password": "wrong"}).content.decode()
        texts.append(re.findall(r'role="alert".*?</div></div>|<p>[^<]*password[^<]*</p>', page, re.DOTALL))
    assert texts[0]
    assert texts[0] == texts[1]


def test_a_second_account_for_an_address_is_not_told_to_strangers(client, sam, mailoutbox):
    answer = client.post("/account/signup/", {"email": "SAM@example.com", "password1": PASSWORD}, follow=True)
    assert b"already" not in answer.content.lower()
    assert mailoutbox[0].to == ["sam@example.com"]
    assert User.objects.count() == 1


def test_a_forgotten_password_is_replaced(client, sam, mailoutbox):
    client.post("/account/password/reset/", {"email": "sam@example.com"})
    assert mailoutbox[0].subject == "Reset your password"
    form = client.get(follow_link(mailoutbox[0].body), follow=True)
    new = "a different horse entirely"
    answer = client.post(form.request["PATH_INFO"], {"password1": new, "password2": new}, follow=True)
    assert answer.status_code == 200
    sam.refresh_from_db()
    assert sam.check_password(new)


def test_a_code_signs_in_too(client, sam, mailoutbox):
    client.post("/account/login/code/", {"email": "sam@example.com"})
    ((html, _),) = mailoutbox[0].alternatives
    code = re.search(r'class="code">([^<]+)<', html)
    assert code
    client.post("/account/login/code/confirm/", {"code": code[1]})
    assert client.get("/profile/").status_code == 200


def test_a_second_factor_is_asked_for_and_its_secret_is_stored_sealed(client, olivia):
    secret = "JBSWY3DPEHPK3PXP"
    TOTP.activate(olivia, secret)
    stored = Authenticator.objects.get(user=olivia, type="totp").data["secret"]
    assert secret not in stored
    assert get_adapter().decrypt(stored) == secret

    client.post("/account/login/", {"login": "olivia@example.com", "password": PASSWORD})
    assert client.get("/admin/").status_code == 302
    counter = next(iter(yield_hotp_counters_from_time()))
    client.post("/account/2fa/authenticate/", {"code": format_hotp_value(hotp_value(secret, counter))})
    assert client.get("/admin/").status_code == 200


def test_a_sealed_secret_of_another_store_does_not_open(settings):
    sealed = get_adapter().encrypt("JBSWY3DPEHPK3PXP")
    settings.SECRET_KEY = "another key"
    with pytest.raises(InvalidToken):
        get_adapter().decrypt(sealed)
    settings.SECRET_KEY_FALLBACKS = ["development-only-secret-key-never-for-live-use-0000"]
    assert get_adapter().decrypt(sealed) == "JBSWY3DPEHPK3PXP"


@pytest.mark.parametrize("address", ["/admin/", "/admin/identity/user/", "/admin/identity/organization/"])
def test_the_administration_is_for_operators(client, request, olivia, charlie, studio, address):
    olivia.is_superuser = True
    olivia.save()
    assert client.get(address).status_code == 302
    client.force_login(charlie)
    assert client.get(address).status_code in {302, 403}
    client.force_login(olivia)
    assert client.get(address).status_code == 200


def test_operators_see_people_by_address_and_write_no_memberships(client, olivia, studio, bob):
    olivia.is_superuser = True
    olivia.save()
    client.force_login(olivia)
    shown = client.get(f"/admin/identity/organization/{studio.pk}/change/")
    assert shown.status_code == 200
    assert b"bob@example.com" in shown.content or b"Bob" in shown.content
    forged = {"memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 0, "memberships-0-role": "owner"}
    client.post(
        f"/admin/identity/organization/{studio.pk}/change/",
        {"name": "Northwind Labs", "country": "US", **forged, "memberships-0-user": str(olivia.pk)},
    )
    assert not studio.memberships.filter(user=olivia).exists()
    assert client.get("/admin/identity/organization/add/").status_code == 403
    assert client.get(f"/admin/identity/user/{bob.pk}/change/").status_code == 200
    made = client.post(
        "/admin/identity/user/add/",
        {"email": "new@example.com", "name": "New", "usable_password": "true", "password1": PASSWORD,
         "password2": PASSWORD, "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0},
    )  # fmt: skip
    assert made.status_code == 302
    assert User.objects.get(email="new@example.com").check_password(PASSWORD)


def test_a_person_changes_their_name(client, sam):
    client.force_login(sam)
    client.post("/profile/", {"name": "  Samira "})
    sam.refresh_from_db()
    assert sam.get_short_name() == "Samira"
