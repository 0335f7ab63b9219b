"""Every template compiles, names only what exists, and keeps to the content policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.template import Engine, Node, Template
from django.template.base import FilterExpression
from django.template.defaulttags import URLNode
from django.template.loader_tags import ExtendsNode, IncludeNode
from django.templatetags.static import StaticNode
from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(__file__).resolve().parent.parent / "templates"
TEMPLATES = sorted(
    str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.suffix in {".html", ".txt", ".svg"}
)
INLINE = re.compile(r"<style\b|<script(?![^>]*\bsrc=)[^>]*>|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)


def load(name: str) -> Template:
    return Engine.get_default().get_template(name)


def nodes(template: Template) -> Iterator[Node]:
    yield from template.nodelist.get_nodes_by_type(Node)


def constant(expression: FilterExpression | Node) -> str | None:
    """The text of an expression that is a plain string without filters."""
    if not isinstance(expression, FilterExpression) or expression.filters:
        return None
    return str(expression.var) if isinstance(expression.var, str) else None


def url_names(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLPattern):
            if entry.name:
                yield prefix + entry.name
        else:
            yield from url_names(entry, f"{prefix}{entry.namespace}:" if entry.namespace else prefix)


@pytest.fixture(scope="module")
def known_names() -> set[str]:
    return set(url_names(get_resolver("agentstore.urls")))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_compiles_and_names_only_what_exists(name, known_names):
    for node in nodes(load(name)):
        if isinstance(node, URLNode) and node.asvar is None and (target := constant(node.view_name)):
            assert target in known_names, f"there is no page called {target}"
        elif isinstance(node, IncludeNode) and (target := constant(node.template)):
            load(target.split("#")[0])
        elif isinstance(node, ExtendsNode) and (target := constant(node.parent_name)):
            load(target)
        elif isinstance(node, StaticNode) and (target := constant(node.path)):
            assert finders.find(target), f"there is no static file {target}"


@pytest.mark.parametrize(
    "name", [name for name in TEMPLATES if name.endswith(".html") and "mail" not in name]
)
def test_a_page_has_no_inline_script_or_style(name):
    """The content policy would drop them silently in the browser."""
    source = re.sub(r"\{#.*?#\}|\{% comment.*?endcomment %\}", "", (ROOT / name).read_text(), flags=re.DOTALL)
    found = INLINE.search(source)
    assert not found, found.group()
