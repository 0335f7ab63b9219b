"""Docs that fail the build: what can be set, run, called or warned of is described, and no link is dead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import URLPattern, URLResolver, get_resolver

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *REPOSITORY.glob("*.md")])
ROOMS = ("agentstore", "marketplace", "sandbox", "billing")
# Paths that programs call; pages for people are reached by links.
PUBLIC = ("api/", "ucp/", "mcp", ".well-known/", "webhooks/", "v1/")


def everything() -> str:
    return "\n".join(page.read_text() for page in PAGES)


def settings_read() -> set[str]:
    """The names that settings.py takes from the environment."""
    names = set()
    for node in ast.walk(ast.parse((REPOSITORY / "agentstore" / "settings.py").read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "env"
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            names.add(str(node.args[0].value))
    return names


def test_every_setting_is_described_and_every_described_one_is_read():
    table = (DOCS / "operations" / "settings.md").read_text()
    described = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", table, flags=re.MULTILINE))
    assert settings_read() - described == set(), "describe them in docs/operations/settings.md"
    assert described - settings_read() == set(), "they are no longer read: take them out of the page"


def test_every_system_check_is_explained():
    ids = {
        found
        for room in ROOMS
        for path in (REPOSITORY / room).rglob("checks.py")
        for found in re.findall(r"id=\"([a-z_]+\.[EW]\d{3})\"", path.read_text())
    }
    assert ids
    table = (DOCS / "operations" / "settings.md").read_text()
    assert {found for found in ids if f"`{found}`" not in table} == set()


def test_every_management_command_is_described():
    ours = {name for name, app in get_commands().items() if str(app).split(".")[0] in ROOMS}
    text = everything()
    assert {name for name in ours if f"manage.py {name}" not in text} == set()


def test_every_make_target_is_described():
    targets = set(re.findall(r"^([a-z]+):.*## ", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE))
    text = everything()
    assert {"demo", "test", "check", "stop"} <= targets
    assert {target for target in targets if f"make {target}" not in text} == set()


def routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    """Every full path pattern below a resolver."""
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield path
        else:
            yield from routes(entry, path)


@pytest.mark.parametrize("urlconf", ["agentstore.urls", "marketplace.gateway.urls"])
def test_every_public_path_is_described(urlconf):
    """A path is described by itself, with its parameters in braces: `/api/orders/{order_id}`."""
    text = everything()
    public = {path for path in routes(get_resolver(urlconf)) if path.startswith(PUBLIC)}
    shown = {path: "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path) for path in public}
    assert {shown[path] for path in public if shown[path] not in text} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page):
    without_code = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", without_code):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_the_index_lists_every_page():
    index = (DOCS / "README.md").read_text()
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


def test_the_files_that_docs_name_exist():
    """A path in backticks with a directory and an ending is a promise that it is there."""
    missing = set()
    for page in PAGES:
        for path in re.findall(
            r"`((?:agentstore|marketplace|sandbox|billing|scripts|tests|docs)/[\w./-]+\.\w+)`",
            page.read_text(),
        ):
            if not (REPOSITORY / path).exists():
                missing.add(f"{page.relative_to(REPOSITORY)}: {path}")
    assert not missing


def test_the_changelog_is_kept():
    text = (REPOSITORY / "CHANGELOG.md").read_text()
    assert re.search(r"^## \[Unreleased\]$", text, flags=re.MULTILINE)
    assert re.search(r"^### (Added|Changed|Fixed|Removed|Deprecated|Security)$", text, flags=re.MULTILINE)
