"""Pages in a real browser, in both themes, at phone and desk width."""

from __future__ import annotations

import pytest

from agentstore.identity.invitations import invite_member
from agentstore.identity.models import Membership
from tests.cast import PASSWORD
from tests.look.axe import assert_accessible, looks, session_cookies, walk, watch

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

FOR_ANYONE = [
    "/",
    "/account/login/",
    "/account/signup/",
    "/account/password/reset/",
    "/account/login/code/",
    "/fees/",
    "/no/such/page/",
]
FOR_MEMBERS = [
    "/profile/",
    "/organizations/",
    "/organizations/new/",
    "/organizations/northwind-labs/",
    "/account/email/",
    "/account/password/change/",
    "/account/2fa/",
    "/account/2fa/webauthn/add/",
    "/account/sessions/",
    "/account/logout/",
]
WORKSPACES = [
    "/developer/",
    "/developer/northwind-labs/",
    "/developer/northwind-labs/submit/",
    "/developer/northwind-labs/submissions/",
    "/developer/northwind-labs/conversations/",
    "/developer/northwind-labs/earnings/",
    "/merchant/audio-haus/billing/",
    "/cart/",
    "/orders/",
    "/chats/",
    "/privacy/",
]
FOR_OPERATORS = [
    "/operator/",
    "/operator/review/",
    "/operator/agents/",
    "/operator/billing/",
    "/operator/ledger/",
    "/operator/ledger/accounts/",
]


@pytest.fixture
def with_gallery(settings):
    settings.ROOT_URLCONF = "tests.look.gallery_urls"


def test_components_are_clean(browser, with_gallery, live_server):
    def forgive(page, answer):
        page.complaints = [text for text in page.complaints if "status of 500" not in text]

    walk(browser, live_server.url, ["/gallery/", "/gallery/?errors", "/broken/"], check=forgive)


def test_pages_for_anyone_are_clean(browser, live_server):
    walk(browser, live_server.url, FOR_ANYONE)


def test_pages_for_members_are_clean(browser, live_server, client, studio, alice):
    invite_member(organization=studio, email="x@example.com", role="member", by=alice)
    client.post("/account/login/", {"login": "alice@example.com", "password": PASSWORD})
    walk(browser, live_server.url, FOR_MEMBERS, cookies=session_cookies(client, live_server.url))


@pytest.mark.parametrize(
    ("who", "addresses"), [("alice", WORKSPACES), ("olivia", FOR_OPERATORS)], ids=["workspaces", "operators"]
)
def test_workspaces_are_clean_while_nothing_is_in_them(
    browser, live_server, client, request, studio, merchant, who, addresses
):
    person = request.getfixturevalue(who)
    if who == "alice":
        Membership.objects.create(organization=merchant, user=person, role=Membership.Role.ADMIN)
    client.force_login(person)

    def is_there(page, answer):
        assert answer.status == 200, page.url

    walk(
        browser, live_server.url, addresses, cookies=session_cookies(client, live_server.url), check=is_there
    )


def test_menus_dialogs_and_refusals_are_clean(browser, live_server, client, studio, alice):
    client.force_login(alice)
    for page in looks(browser, cookies=session_cookies(client, live_server.url)):
        page.goto(f"{live_server.url}/organizations/northwind-labs/")
        page.get_by_text("Workspaces").locator("visible=true").or_(
            page.locator("summary").first
        ).first.click()
        assert_accessible(page)
        page.keyboard.press("Escape")
        assert page.locator("details[open]").count() == 0
        page.get_by_role("button", name="Leave").first.click()
        assert page.get_by_role("dialog").is_visible()
        assert_accessible(page)
        page.get_by_role("dialog").get_by_role("button", name="Leave").click()
        page.get_by_role("heading", name="An organization keeps at least one owner.").wait_for()
        assert_accessible(page)


def test_the_theme_follows_the_system_until_the_reader_chooses(browser, live_server):
    context = browser.new_context(color_scheme="dark")
    page = watch(context.new_page())
    surface = "getComputedStyle(document.body).backgroundColor"
    page.goto(live_server.url + "/account/login/")
    dark = page.evaluate(surface)
    page.get_by_role("button", name="Use the light theme").click()
    light = page.evaluate(surface)
    assert light != dark
    page.reload()
    assert page.evaluate(surface) == light
    page.get_by_role("button", name="Use the dark theme").click()
    assert page.evaluate(surface) == dark
    assert page.complaints == []
    context.close()


def test_without_scripts_a_person_can_still_sign_in(browser, live_server, sam):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(live_server.url + "/account/login/?next=/profile/")
    page.get_by_label("Email").fill("sam@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign In", exact=True).click()
    assert page.get_by_role("heading", name="Profile").is_visible()
    context.close()


def test_the_keyboard_skips_to_the_content(browser, live_server):
    context = browser.new_context()
    page = context.new_page()
    page.goto(live_server.url + "/account/login/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    context.close()


@pytest.mark.parametrize(
    ("when", "fault", "complaint"),
    [
        ("(prefers-color-scheme: light) and (max-width: 400px)", "p { color: #eee }", "color-contrast"),
        ("(prefers-color-scheme: light) and (min-width: 900px)", "p { color: #eee }", "color-contrast"),
        ("(prefers-color-scheme: dark) and (min-width: 900px)", "p { color: #222 }", "color-contrast"),
        ("(min-width: 900px)", "p { width: 2000px }", "px wider than the window"),
    ],
)
def test_what_is_wrong_at_one_width_or_in_one_theme_is_found(browser, when, fault, complaint):
    style = "body { color-scheme: light dark; background: light-dark(white, black); color: light-dark(black, white) }"
    title = "<html lang=en><title>A page</title>"
    page = f"{title}<style>{style} @media {when} {{ {fault} }}</style><main><h1>Words</h1><p>Words</p></main>"
    document = "<!doctype html>" + page.replace("#", "%23")
    clean = "<!doctype html>" + title + "<main><h1>Words</h1></main>"
    with pytest.raises(AssertionError, match=complaint):
        walk(browser, "data:text/html,", [clean, document])
