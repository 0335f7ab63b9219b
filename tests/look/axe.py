"""What a page must pass in a real browser: axe finds nothing, nothing overflows, nothing is blocked.

For browser tests of all rooms (`browser` comes from tests.look.browser):

    from tests.look.axe import assert_accessible, looks, session_cookies, walk

    def test_orders(browser, live_server, client, sam):
        client.force_login(sam)
        cookies = session_cookies(client, live_server.url)
        walk(browser, live_server.url, ["/orders/"], cookies=cookies)
        for page in looks(browser, cookies=cookies):  # at phone and desk width, where something is done first
            page.goto(live_server.url + "/orders/")
            page.get_by_role("button", name="Cancel").click()
            assert_accessible(page)
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
SCHEMES = ("dark", "light")
WIDTHS = {"phone": (390, 844), "desk": (1280, 860)}
# Colours may fade into each other. Ended, not waited for: a page that no one sees may draw no frame for minutes,
# and `getAnimations` brings the styles up to date by itself.
_SETTLE = """document.getAnimations()
  .filter(one => one instanceof CSSTransition)
  .forEach(one => one.finish());"""
# Only what is told of leaves the page: all that axe knows of one takes longer to hand over than to find.
_RUN = """const found = await axe.run(
    {exclude: exclude.map(one => [one])}, {resultTypes: ["violations"], ...options});
  return found.violations.map(one => [one.id, one.help, one.nodes.slice(0, 3).map(
    node => [node.html.slice(0, 160), node.failureSummary ?? ""])]);"""
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@cache
def _axe_source() -> str:
    return AXE.read_text()


def session_cookies(client: Client, base_url: str) -> list[dict[str, Any]]:
    """A test client's session as a browser's cookie: `client.force_login(alice)` first."""
    return [
        {"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value,
         "url": base_url}
    ]  # fmt: skip


def looks(browser: Any, *, cookies: Sequence[dict[str, Any]] = ()) -> Iterator[Any]:
    """A fresh page per width, in either theme by turns; each records what the browser complains about."""
    for scheme, name in zip(SCHEMES, WIDTHS, strict=True):
        page = _open(browser, scheme, name, cookies)
        yield page
        page.context.close()


def _open(browser: Any, scheme: str, name: str, cookies: Sequence[dict[str, Any]]) -> Any:
    context = browser.new_context(color_scheme=scheme, viewport=_viewport(name), reduced_motion="reduce")
    context.add_cookies(list(cookies))
    page = watch(context.new_page())
    page.look = f"{scheme} {name}"
    page.scheme = scheme
    return page


def _viewport(name: str) -> dict[str, int]:
    width, height = WIDTHS[name]
    return {"width": width, "height": height}


def walk(
    browser: Any,
    base_url: str,
    paths: Sequence[str],
    *,
    cookies: Sequence[dict[str, Any]] = (),
    check: Callable[[Any, Any], None] | None = None,
) -> None:
    """Assert that each page is clean at both widths, in both themes; loaded once, at either width by turns.

    `check` is given the page and the server's answer first.
    """
    scheme, names = SCHEMES[0], list(WIDTHS)
    page = _open(browser, scheme, names[0], cookies)
    # Compiled once, where a page's own evaluation of it would be compiled on each.
    page.context.add_init_script(_axe_source())
    for path in paths:
        answer = page.goto(base_url + path)
        if check is not None:
            check(page, answer)
        for name in names:
            page.set_viewport_size(_viewport(name))
            page.look = f"{page.scheme} {name}"
            assert_accessible(page, stay=True)
        names.reverse()
    page.context.close()


def watch(page: Any) -> Any:
    """Keep what the page's scripts throw and what the content policy blocks, for `assert_accessible`."""
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(f"script error: {error}"))
    page.on(
        "console",
        lambda message: (
            page.complaints.append(f"console: {message.text}")
            if message.type == "error" and "status of 4" not in message.text
            else None
        ),
    )
    return page


def keep_picture(page: Any, name: str = "") -> None:
    """A picture of the whole page in the directory that PICTURES names, if it names one: for people to look at."""
    directory = os.environ.get("PICTURES")
    if directory is None:
        return
    test = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].removesuffix(" (call)")
    where = name or page.url.partition(urlsplit(page.url).netloc)[2]
    label = re.sub(r"\W+", "-", f"{test} {getattr(page, 'look', '')} {where}").strip("-")
    Path(directory).mkdir(parents=True, exist_ok=True)
    page.screenshot(path=Path(directory) / f"{label}.png", full_page=True)


def assert_accessible(page: Any, *, exclude: Sequence[str] = (), stay: bool = False) -> None:
    """Fails with a readable list unless the page as it stands now is clean; `exclude` holds CSS selectors.

    A page of `looks` is seen in the other theme too, where only colours can differ, and left in that if it is to
    `stay`. PICTURES keeps what it looks like.
    """
    keep_picture(page)
    where = f"{page.url} ({getattr(page, 'look', '')})"
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(f"eval({json.dumps(_axe_source())})")
    problems = _violations(page, exclude, {})
    problems += getattr(page, "complaints", [])
    overflow = page.evaluate(_OVERFLOW)
    if overflow > 0:
        problems.append(f"the page is {overflow} px wider than the window")
    scheme = getattr(page, "scheme", None)
    if scheme is not None:
        other = next(name for name in SCHEMES if name != scheme)
        page.emulate_media(color_scheme=other)
        in_other = _violations(page, exclude, {"runOnly": ["color-contrast"]})
        problems += [f"in the {other} theme: {problem}" for problem in in_other]
        if stay:
            page.scheme = other
        else:
            page.emulate_media(color_scheme=scheme)
    assert not problems, f"{where}\n" + "\n".join(problems)


def _violations(page: Any, exclude: Sequence[str], options: dict[str, Any]) -> list[str]:
    found = page.evaluate(f"async ([exclude, options]) => {{{_SETTLE}{_RUN}}}", [list(exclude), options])
    return [
        f"{name}: {meaning}\n" + "\n".join(f"    {html}\n      {summary}" for html, summary in nodes)
        for name, meaning, nodes in found
    ]
