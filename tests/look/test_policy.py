"""The content policy: on every page, without exceptions for inline code; the administration has its own."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    "/", "/account/login/", "/account/signup/", "/account/password/reset/", "/profile/", "/organizations/",
    "/organizations/new/", "/account/2fa/", "/account/sessions/", "/account/email/", "/privacy/", "/cart/",
    "/orders/", "/chats/", "/fees/", "/no/such/page/",
]  # fmt: skip
USED = re.compile(r"""{%-?\s*icon\s+["']([\w-]+)["']|icon_name=["']([\w-]+)["']""")


@pytest.mark.parametrize("address", PAGES)
def test_every_page_has_the_strict_policy(client, alice, address):
    for signed_in in (False, True):
        if signed_in:
            client.force_login(alice)
        answer = client.get(address, follow=True)
        policy = answer["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "data:" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        page = answer.content.decode()
        assert not re.search(r"<style\b|\sstyle=|\son[a-z]+=", page)
        scripts = re.findall(r"<script\b[^>]*>", page)
        assert [tag for tag in scripts if "src=" not in tag and "application/json" not in tag] == []


def test_the_administration_alone_is_left_to_its_own_ways(client, olivia):
    client.force_login(olivia)
    assert "Content-Security-Policy" not in client.get("/admin/").headers


def test_the_style_sheet_asks_for_nothing_that_the_policy_refuses():
    css = (ROOT / "static" / "dist" / "app.css").read_text()
    asked = [address.strip("\"'") for address in re.findall(r"url\(([^)]{0,80})", css)]
    # daisyUI's noise picture stays written, unused: --fx-noise is set to none after it.
    assert [
        a for a in asked if not a.startswith(("../vendor/", "data:image/svg+xml,%3Csvg xmlns", "%23a"))
    ] == []
    assert "--fx-noise:none" in css
    assert len(css) < 700_000


def test_vendored_files_name_no_source_maps():
    for path in [*(ROOT / "static" / "vendor").glob("*.js"), *(ROOT / "static" / "dist").glob("*")]:
        assert b"sourceMappingURL" not in path.read_bytes(), path.name
        assert path.stat().st_size < 700_000, path.name


def test_every_icon_that_a_template_names_is_in_the_sprite():
    sprite = (ROOT / "static" / "dist" / "icons.svg").read_text()
    names = {
        match[1] or match[2]: path.name
        for path in (ROOT / "templates").rglob("*.html")
        for match in USED.finditer(path.read_text())
    }
    assert {name: where for name, where in names.items() if f'id="{name}"' not in sprite} == {}


def test_the_lock_file_names_no_registry():
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()


def test_the_style_sheet_has_every_class_that_templates_use():
    """Otherwise somebody forgot `make assets`. Classes of mails stand in the mails."""
    css = (ROOT / "static" / "dist" / "app.css").read_text()
    known = {re.sub(r"\\(.)", r"\1", name) for name in re.findall(r"\.((?:\\.|[\w-])+)", css)}
    missing: dict[str, str] = {}
    for path in (ROOT / "templates").rglob("*.html"):
        if path.parent.name == "email":
            continue
        for attribute in re.findall(r'\bclass="([^"]*)"', path.read_text()):
            static = re.sub(r"\S*\{\{.*?\}\}\S*", " ", re.sub(r"\{%.*?%\}", " ", attribute))
            missing |= {name: path.name for name in static.split() if name not in known}
    assert missing == {}
