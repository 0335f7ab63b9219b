"""A person at the store's pages, over HTTP: the demo goes through the public door."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any

import httpx

from agentstore.demo.people import PASSWORD, Person

SECONDS = 60


class Turned(Exception):
    """A page refused what the demo asked of it. The text says what the page said."""


class Visitor:
    """Signs in on entering; use as a context manager."""

    def __init__(self, site_url: str, person: Person) -> None:
        self.person = person
        self._http = httpx.Client(base_url=site_url, timeout=SECONDS, follow_redirects=False, trust_env=False)

    def __enter__(self) -> Visitor:
        """Raises Turned when the login is refused."""
        self._http.get("/account/login/").raise_for_status()
        answer = self.post("/account/login/", {"login": self.person.email, "password": PASSWORD})
        if "sessionid" not in self._http.cookies:
            raise Turned(f"{self.person.email} could not sign in: {said(answer)}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str) -> str:
        """A page's HTML. Raises Turned unless there is one."""
        answer = self._http.get(path)
        if answer.status_code != 200:
            raise Turned(f"{path} answered {answer.status_code}: {said(answer)}")
        return answer.text

    def post(self, path: str, fields: dict[str, str], files: dict[str, Any] | None = None) -> httpx.Response:
        """Send a form as a browser does. Raises Turned unless it is taken, which a redirect says."""
        token = self._http.cookies.get("csrftoken") or ""
        answer = self._http.post(path, data={**fields, "csrfmiddlewaretoken": token}, files=files)
        if answer.status_code not in (302, 303):
            raise Turned(f"{path} answered {answer.status_code}: {said(answer)}")
        return answer


def said(answer: httpx.Response) -> str:
    """What an alert or a field's error on a page says, without its tags."""
    errors = re.findall(r'role="alert"[^>]*>(.*?)</', answer.text, flags=re.DOTALL)
    plain = [" ".join(re.sub(r"<[^>]+>", " ", error).split()) for error in errors]
    return "; ".join(filter(None, plain)) or "no reason given"
