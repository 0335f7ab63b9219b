"""Tables as CSV, by batches, from either kind of server."""

import csv
import io

import pytest
from django.http import StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from agentstore.identity.models import Organization
from agentstore.kit.tables import in_batches, stream_csv

HEADER = ["name", "number"]


def parts(response: StreamingHttpResponse) -> list[bytes]:
    return list(response.streaming_content)  # type: ignore[arg-type]  # a plain iterator without ASGI


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def two_batches(after):
    return ([["a", 1], ["b", 2]], "next") if after is None else ([["c", -3]], None)


def test_batches_come_one_by_one():
    response = stream_csv(RequestFactory().get("/"), filename="t.csv", header=HEADER, read=two_batches)
    assert [rows(part) for part in parts(response)] == [[HEADER], [["a", "1"], ["b", "2"]], [["c", "-3"]]]
    assert response["Content-Disposition"] == 'attachment; filename="t.csv"'


@pytest.mark.asyncio
async def test_the_same_from_an_asgi_server():
    request = AsyncRequestFactory().get("/")
    response = stream_csv(request, filename="t.csv", header=HEADER, read=two_batches)
    assert response.is_async
    content = b"".join([part async for part in response])
    assert rows(content) == [HEADER, ["a", "1"], ["b", "2"], ["c", "-3"]]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_text_is_a_formula(text):
    def read(after):
        return [[text, -1]], None

    request = RequestFactory().get("/")
    assert rows(b"".join(parts(stream_csv(request, filename="t", header=HEADER, read=read))))[1] == [
        f"'{text}",
        "-1",
    ]
    exact = stream_csv(request, filename="t", header=HEADER, read=read, exact=True)
    assert rows(b"".join(parts(exact)))[1] == [text, "-1"]


def test_a_query_in_batches_gives_each_row_once(db, django_assert_num_queries):
    for number in range(5):
        Organization.objects.create(kind="merchant", name=f"Shop {number}", slug=f"shop-{number}")
    read = in_batches(Organization.objects.all(), lambda found: [[one.slug] for one in found], size=2)
    response = stream_csv(RequestFactory().get("/"), filename="t", header=["slug"], read=read)
    with django_assert_num_queries(3):
        read_rows = rows(b"".join(parts(response)))
    assert sorted(read_rows[1:]) == [[f"shop-{number}"] for number in range(5)]
