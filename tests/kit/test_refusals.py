"""Typed errors at every door: a page, a toast, problem details; and the chain stays asynchronous."""

import json

import pytest
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agentstore.kit.errors import (
    Conflict,
    NotFound,
    Refused,
    StoreError,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from agentstore.kit.middleware import StoreErrorMiddleware
from agentstore.urls import handler400, handler403, handler404, handler500
from agentstore.urls import urlpatterns as store_urls

ERRORS = {kind.code: kind for kind in (Conflict, NotFound, Refused, TooMany, Unavailable, Unauthenticated)}


def refuse(request: HttpRequest, code: str) -> HttpResponse:
    raise ERRORS[code]("It is <b>taken</b>.", hint="Choose another.")


async def refuse_later(request: HttpRequest, code: str) -> HttpResponse:
    raise ERRORS[code]("It is taken.", hint="Choose another.")


def crash(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("secret detail")


class Refusing(APIView):
    permission_classes = ()

    def get(self, request: Request, code: str) -> Response:
        raise ERRORS[code]("It is taken.", hint="Choose another.", field="name")

    def post(self, request: Request, code: str) -> Response:
        return Response(request.data)


urlpatterns = [
    path("refuse/<str:code>/", refuse),
    path("later/<str:code>/", refuse_later),
    path("crash/", crash),
    path("api/<str:code>/", Refusing.as_view()),
    *store_urls,
]
__all__ = ["handler400", "handler403", "handler404", "handler500"]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]
SHOWN = [code for code in ERRORS if code != "unauthenticated"]


@pytest.mark.parametrize("code", SHOWN)
def test_a_person_gets_a_page_that_says_what_to_do(client, code):
    answer = client.get(f"/refuse/{code}/")
    assert answer.status_code == ERRORS[code].status
    page = answer.content.decode()
    assert "It is &lt;b&gt;taken&lt;/b&gt;." in page
    assert "Choose another." in page


@pytest.mark.parametrize("code", SHOWN)
def test_htmx_gets_a_toast_for_the_corner(client, code):
    answer = client.get(f"/refuse/{code}/", headers={"HX-Request": "true"})
    assert answer.status_code == ERRORS[code].status
    assert answer["HX-Retarget"] == "#toasts"
    assert b"<html" not in answer.content
    assert b"Choose another." in answer.content


def test_nobody_is_sent_to_sign_in_and_back(client):
    answer = client.get("/refuse/unauthenticated/?page=2")
    assert answer.status_code == 302
    assert answer.url == "/account/login/?next=/refuse/unauthenticated/%3Fpage%3D2"


def test_nobody_in_htmx_takes_the_whole_page_to_sign_in(client):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/cart/"}
    answer = client.get("/refuse/unauthenticated/", headers=headers)
    assert answer["HX-Redirect"] == "/account/login/?next=/cart/"


async def test_an_asynchronous_view_is_served_alike():
    answer = await AsyncClient().get("/later/conflict/")
    assert answer.status_code == 409
    assert b"It is taken." in answer.content


def test_the_middleware_does_not_force_a_thread_on_asynchronous_views():
    async def get_response(request):
        return HttpResponse()

    assert StoreErrorMiddleware.async_capable
    assert iscoroutinefunction(StoreErrorMiddleware(get_response))


@pytest.mark.parametrize("code", list(ERRORS))
def test_a_program_gets_problem_details(client, code):
    answer = client.get(f"/api/{code}/")
    assert answer.status_code == ERRORS[code].status
    assert answer["Content-Type"].startswith("application/problem+json")
    assert json.loads(answer.content) == {
        "type": f"urn:agentstore:error:{code}",
        "title": "It is taken.",
        "status": ERRORS[code].status,
        "code": code,
        "hint": "Choose another.",
        "details": {"field": "name"},
    }


def test_the_frameworks_own_refusals_have_the_same_shape(client):
    answer = client.post("/api/conflict/", "{", content_type="application/json")
    problem = json.loads(answer.content)
    assert (answer.status_code, problem["code"], problem["status"]) == (400, "parse_error", 400)


def test_a_crash_says_nothing_of_the_inside_and_needs_no_database(client, django_assert_num_queries):
    client.raise_request_exception = False
    with django_assert_num_queries(0):
        answer = client.get("/crash/")
    assert answer.status_code == 500
    assert b"That one is on us" in answer.content
    assert b"secret detail" not in answer.content


@pytest.mark.parametrize(
    "address",
    ["/?q=%00", "/catalogue/?category=%00", "/catalogue/?cursor=%00", "/products/%00/", "/account/login/?next=%00",
     "/catalogue/?%00=1", "/ucp/orders/%00/view/"],
)  # fmt: skip
def test_an_address_with_the_zero_character_is_refused_with_a_page(db, client, address):
    answer = client.get(address)
    assert answer.status_code == 400
    assert b"zero character" in answer.content


@pytest.mark.parametrize("checks", [True, False])
def test_a_form_with_the_zero_character_is_refused_with_a_page(db, checks):
    client = Client(enforce_csrf_checks=checks)
    form = {"login": "\x00", "password": "x", "csrfmiddlewaretoken": "x" * 32}
    client.cookies["csrftoken"] = form["csrfmiddlewaretoken"]
    answer = client.post("/account/login/", form)
    assert (answer.status_code, b"zero character" in answer.content) == (400, True)


async def test_an_address_with_the_zero_character_is_refused_asynchronously():
    answer = await AsyncClient().get("/later/conflict/?q=%00")
    assert answer.status_code == 400


def test_a_form_from_another_place_is_refused_with_a_page(client):
    answer = Client(enforce_csrf_checks=True).post("/account/login/", {})
    assert answer.status_code == 403
    assert b"This form has expired" in answer.content


@override_settings(DEBUG=False)
def test_an_unknown_address_has_a_page(client):
    answer = client.get("/no/such/page/")
    assert answer.status_code == 404
    assert b"Nothing here" in answer.content


def test_a_store_error_without_hint_or_details_is_short():
    assert StoreError("No.").as_problem() == {
        "type": "urn:agentstore:error:error",
        "title": "No.",
        "status": 400,
        "code": "error",
    }
