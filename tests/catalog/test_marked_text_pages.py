"""Marked texts on the pages of operators and merchants, and in the merchants' API."""

from __future__ import annotations

import json

from django.urls import reverse

from agentstore.identity.services import create_organization
from agentstore.identity.tokens import issue_token
from marketplace.catalog.hostile.decisions import decide_text
from marketplace.catalog.hostile.examining import examine_products
from marketplace.catalog.models import FeedImport, MarkedText, Product
from tests.catalog.lamps import ORDER


def test_the_operator_sees_evidence_and_decides(lamp, client, olivia):
    product = lamp(description=f"<script>x</script> {ORDER}\u200b")
    mark = product.marked_texts.get()
    client.force_login(olivia)
    assert ORDER[:20] not in client.get(reverse("catalog:marked-texts") + "?show=decided").content.decode()
    page = client.get(reverse("catalog:marked-texts") + "?kind=instruction").content.decode()
    assert reverse("catalog:marked-text", args=[mark.pk]) in page
    page = client.get(reverse("catalog:marked-text", args=[mark.pk])).content.decode()
    assert "⟨U+200B⟩" in page
    assert "&lt;script&gt;" in page
    assert "Asks to set aside what the reader was told" in page
    address = reverse("catalog:marked-text", args=[mark.pk])
    assert client.post(address, {"decision": "keep", "reason": ""}).status_code == 422
    assert client.post(address, {"decision": "burn", "reason": "x"}).status_code == 422
    assert client.post(address, {"decision": "hide", "reason": "hostile"}).status_code == 302
    mark.refresh_from_db()
    product.refresh_from_db()
    assert (mark.status, product.status) == ("hidden", "withheld")
    assert "Nothing to decide" in client.get(reverse("catalog:marked-texts")).content.decode()


def test_the_operator_sees_what_could_not_be_examined(lamp, client, olivia):
    product = lamp()
    client.force_login(olivia)
    address = reverse("catalog:marked-texts")
    assert "Could not be examined" not in client.get(address).content.decode()
    Product.objects.filter(pk=product.pk).update(attributes=["no", "object"])
    examine_products()
    page = client.get(address).content.decode()
    assert "Could not be examined" in page
    assert f"{product.public_id} of {product.owner.name}" in page
    assert "AttributeError" in page


def test_lists_have_pages(lamp, client, olivia, merchant):
    product = lamp()
    MarkedText.objects.bulk_create(
        MarkedText(product=product, field=f"f{n}", text="x", kinds=["steering"], score=n / 40, version=1, status="open")
        for n in range(30)
    )  # fmt: skip
    client.force_login(olivia)
    first = client.get(reverse("catalog:marked-texts")).content.decode()
    assert "Page 1 of 2" in first
    assert first.index("f29") < first.index("f28"), "the surest come first"


def test_the_merchant_sees_its_marks_and_asks(lamp, client, merchant, mia, offer, olivia):
    product = lamp(description=ORDER)
    mark = product.marked_texts.get()
    client.force_login(mia)
    report = reverse("catalog:import", args=[merchant.slug, FeedImport.objects.get().pk])
    for address in (
        report,
        reverse("catalog:offer", args=[merchant.slug, offer("lamp").pk]),
        reverse("catalog:marked-texts-of-merchant", args=[merchant.slug]),
    ):
        assert "asks to set aside what the reader was told" in client.get(address).content.decode().lower()
    asking = reverse("catalog:marked-text-ask", args=[merchant.slug, mark.pk])
    for empty in ("", "\x00"):
        assert client.post(asking, {"reason": empty, "back": report}).status_code == 400
    assert client.post(asking, {"reason": "It is a joke", "back": report})["Location"] == report
    assert "Review asked for" in client.get(report).content.decode()
    decide_text(text_id=mark.pk, decision="keep", by=olivia, reason="Not funny")
    page = client.get(report).content.decode()
    assert "Not funny" in page
    assert "olivia" not in page.lower()
    again = {"reason": "Still a joke", "back": "https://evil.example/"}
    assert client.post(asking, again)["Location"].startswith("/merchant/")


def test_strangers_are_refused(lamp, client, merchant, mia, charlie):
    mark = lamp(description=ORDER).marked_texts.get()
    theirs = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    operators = [reverse("catalog:marked-texts"), reverse("catalog:marked-text", args=[mark.pk])]
    for person in (mia, charlie):
        client.force_login(person)
        assert [client.get(address).status_code for address in operators] == [404, 404]
        assert client.post(operators[1], {"decision": "clear", "reason": "x"}).status_code == 404
    own, foreign = merchant.slug, theirs.slug
    assert client.get(reverse("catalog:marked-texts-of-merchant", args=[own])).status_code == 404
    for slug in (own, foreign):
        asked = client.post(reverse("catalog:marked-text-ask", args=[slug, mark.pk]), {"reason": "x"})
        assert asked.status_code == 404
    page = client.get(reverse("catalog:marked-texts-of-merchant", args=[foreign]))
    assert "Nothing is marked" in page.content.decode()
    mark.refresh_from_db()
    assert (mark.status, mark.asked_at) == ("open", None)


def test_programs_of_the_merchant_learn_how_many_are_marked(client, merchant, mia):
    _, secret = issue_token(organization=merchant, by=mia, name="warehouse")
    headers = {"Authorization": f"Bearer {secret}"}
    item = {"id": "lamp", "title": ORDER, "price": "9 USD", "availability": "in_stock"}
    pushed = client.post(
        reverse("catalog:api-items"), json.dumps({"items": [item]}), content_type="application/json",
        headers=headers,
    ).json()["import"]  # fmt: skip
    assert (pushed["new"], pushed["marked"]) == (1, 0)
    examine_products()
    assert client.get(pushed["url"], headers=headers).json()["import"]["marked"] == 1
