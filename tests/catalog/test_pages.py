"""The merchant's workspace and the shopper's pages, and who is kept out."""

import io
import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image

from agentstore.identity.services import add_member, create_organization
from agentstore.kit.clock import now
from marketplace.catalog.feeds import run_import
from marketplace.catalog.forms import OfferForm
from marketplace.catalog.models import FeedImport, Offer
from marketplace.catalog.stock import buy_reserved, reserve_stock
from tests.catalog.conftest import FEED


def address(name, *args):
    return reverse(f"catalog:{name}", args=args)


@pytest.fixture
def doors(shop, offer):
    """Every address of a merchant's workspace."""
    started = FeedImport.objects.get()
    one = [shop.slug, offer("cam").pk]
    report = [shop.slug, started.pk]
    return [
        address("workspace", shop.slug),
        address("catalogue", shop.slug),
        address("offer", *one),
        address("imports", shop.slug),
        address("import", *report),
        address("import-progress", *report),
        address("import-refusals", *report),
    ]


def test_charlie_is_refused_at_every_door(client, charlie, shop, offer, doors):
    client.force_login(charlie)
    assert [client.get(door).status_code for door in doors] == [404] * len(doors)
    before = offer("cam").price_micros
    posted = client.post(address("offer", shop.slug, offer("cam").pk), {"price": "1", "stock": "1"})
    assert posted.status_code == 404
    photo = client.post(address("offer-photo", shop.slug, offer("cam").pk))
    assert photo.status_code == 404
    feed = SimpleUploadedFile("f.csv", FEED.encode())
    assert client.post(address("imports", shop.slug), {"file": feed}).status_code == 404
    assert offer("cam").price_micros == before
    assert FeedImport.objects.count() == 1


def test_another_merchants_things_are_not_reachable_through_ones_own_shop(client, charlie, shop, offer):
    mine = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    client.force_login(charlie)
    started = FeedImport.objects.get()
    assert client.get(address("offer", mine.slug, offer("cam").pk)).status_code == 404
    assert client.get(address("import", mine.slug, started.pk)).status_code == 404
    assert client.get(address("import-refusals", mine.slug, started.pk)).status_code == 404


def test_nobody_is_led_to_the_sign_in(client, doors):
    assert [client.get(door).status_code for door in doors] == [302] * len(doors)


def test_members_see_their_shop(client, mia, bob, shop, doors):
    add_member(organization=shop, user=bob, role="member", by=mia)
    client.force_login(bob)
    assert [client.get(door).status_code for door in doors] == [200] * len(doors)
    page = client.get(address("workspace", shop.slug)).content.decode()
    assert "Desk Lamp" in page


def test_opening_a_shop(client, sam):
    client.force_login(sam)
    answer = client.post(address("merchants"), {"name": "Sam's Mugs"})
    assert answer["Location"] == address("workspace", "sams-mugs")
    page = client.get(answer["Location"]).content.decode()
    assert "Nothing imported yet" in page
    assert client.post(address("merchants"), {"name": "Sam's Mugs"}).status_code == 422


def test_uploading_a_feed_and_reading_its_report(
    client, mia, merchant, data_dir, django_capture_on_commit_callbacks, settings
):
    settings.CELERY_BROKER_URL = "memory://"
    client.force_login(mia)
    feed = SimpleUploadedFile("range.csv", (FEED + "x,,,,,1 EUR,,in_stock,1,,,,,,\n").encode())
    with django_capture_on_commit_callbacks() as enqueued:
        answer = client.post(address("imports", merchant.slug), {"file": feed})
    assert len(enqueued) == 1
    started = FeedImport.objects.get()
    assert answer["Location"] == address("import", merchant.slug, started.pk)
    assert "hx-get" in client.get(answer["Location"]).content.decode()
    run_import(import_id=started.pk)
    assert client.get(address("import-progress", merchant.slug, started.pk))["HX-Refresh"] == "true"
    page = client.get(answer["Location"]).content.decode()
    assert "title_missing" in page
    table = client.get(address("import-refusals", merchant.slug, started.pk))
    lines = b"".join(table.streaming_content).decode().splitlines()
    assert lines[0] == "line,id,code,message"
    assert lines[1].startswith("9,x,title_missing")


def test_a_file_of_another_kind_is_refused_with_the_form(client, mia, merchant):
    client.force_login(mia)
    answer = client.post(address("imports", merchant.slug), {"file": SimpleUploadedFile("a.xlsx", b"PK")})
    assert answer.status_code == 422
    assert "Name it .csv" in answer.content.decode()


def test_the_refused_lines_are_inert_in_a_spreadsheet(client, mia, merchant, load):
    report = load(merchant, 'id,title,price,availability\n"=HYPERLINK(1)",,1,in_stock\n')
    client.force_login(mia)
    answer = client.get(address("import-refusals", merchant.slug, report.pk))
    assert b"'=HYPERLINK(1)" in b"".join(answer.streaming_content)


def test_changing_an_offer(client, mia, shop, offer):
    client.force_login(mia)
    door = address("offer", shop.slug, offer("cam").pk)
    answer = client.post(door, {"price": "750", "list_price": "899.99", "stock": "4", "reason": "sale"})
    assert answer.status_code == 302
    fresh = offer("cam")
    assert (fresh.price_micros, fresh.stock, fresh.active) == (750_000_000, 4, False)
    assert "sale" in client.get(door).content.decode()
    refused = client.post(door, {"price": "750", "list_price": "700", "stock": "4"})
    assert refused.status_code == 422
    assert "above the price" in refused.content.decode()


def opened(client, door):
    """What a browser would send of the form as it is shown."""
    fields = re.findall(r"<input[^>]*>", client.get(door).content.decode())
    pairs = [(re.search(r'name="([^"]*)"', field), re.search(r'value="([^"]*)"', field)) for field in fields]
    sent = {name[1]: value[1] if value else "" for name, value in pairs if name}
    return {
        name: value for name, value in sent.items() if name.removeprefix("initial-") in OfferForm.base_fields
    }


def test_a_form_that_was_open_while_the_last_item_sold_does_not_put_it_back(client, mia, shop, offer):
    client.force_login(mia)
    chair = offer("chair")
    door = address("offer", shop.slug, chair.pk)
    form = opened(client, door)
    assert form["stock"] == "1"
    reserve_stock(offer_id=chair.pk, quantity=1, holder="sam", until=now())
    buy_reserved(holder="sam")
    assert client.post(door, form | {"price": "99", "active": "on"}).status_code == 302
    assert (offer("chair").on_hand, offer("chair").price.minor) == (0, 9_900)
    assert client.post(door, form | {"stock": "4", "active": "on"}).status_code == 302
    assert offer("chair").on_hand == 3, "three more than were shown came in"
    assert client.post(door, form | {"stock": "0", "active": "on"}).status_code == 302
    assert (
        client.post(door, form | {"stock": "0", "active": "on", "initial-stock": "1000000000"}).status_code
        == 302
    )
    assert offer("chair").on_hand == 0
    for _ in range(3):
        client.post(door, form | {"stock": "1000000000", "active": "on", "initial-stock": "0"})
    assert offer("chair").on_hand == 1_000_000_000


def test_a_refused_form_still_knows_what_it_showed(client, mia, shop, offer):
    client.force_login(mia)
    door = address("offer", shop.slug, offer("chair").pk)
    refused = client.post(door, opened(client, door) | {"price": "much", "stock": "7"}).content.decode()
    assert re.search(r'name="initial-stock" value="1"', refused)


def test_correcting_the_stock_keeps_a_dated_sale(client, mia, shop, offer):
    hour = timedelta(hours=1)
    Offer.objects.filter(pk=offer("cam").pk).update(
        price_micros=700_000_000, list_price_micros=899_990_000, regular_micros=899_990_000,
        sale_micros=700_000_000, sale_from=now() - hour, sale_to=now() + hour,
    )  # fmt: skip
    client.force_login(mia)
    door = address("offer", shop.slug, offer("cam").pk)
    form = opened(client, door) | {"active": "on"}
    client.post(door, form | {"stock": "9"})
    assert (offer("cam").on_hand, offer("cam").sale is not None) == (9, True)
    # What was shown is what counts, also when the sale ended meanwhile.
    Offer.objects.filter(pk=offer("cam").pk).update(sale_to=now() - hour / 2)
    client.post(door, form)
    assert (offer("cam").on_hand, offer("cam").price.minor) == (9, 89_999)
    client.post(door, form | {"price": "650"})
    assert (offer("cam").price.minor, offer("cam").sale) == (65_000, None)


def test_adding_a_photograph(client, mia, shop, offer):
    picture = io.BytesIO()
    Image.new("RGB", (1200, 900), "teal").save(picture, "JPEG")
    client.force_login(mia)
    door = address("offer-photo", shop.slug, offer("cam").pk)
    answer = client.post(door, {"photo": SimpleUploadedFile("p.jpg", picture.getvalue())})
    assert answer.status_code == 302
    assert offer("cam").variant.product.media.count() == 1
    broken = client.post(door, {"photo": SimpleUploadedFile("p.svg", b"<svg onload=alert(1)>")})
    assert broken.status_code == 422


def test_the_catalogue_finds_by_title_and_id(client, mia, shop):
    client.force_login(mia)
    door = address("catalogue", shop.slug)
    assert "Wireless Headphones" in client.get(door, {"q": "headph"}).content.decode()
    assert "Cotton Tee" in client.get(door, {"q": "tee-m"}).content.decode()
    assert "Desk Lamp" in client.get(door, {"show": "out"}).content.decode()
    assert "No offer fits" in client.get(door, {"q": "zzz"}).content.decode()


def test_a_product_page_shows_the_offers_of_now(client, shop, offer, product):
    page = client.get(address("product", offer("tee-m").variant.product.public_id)).content.decode()
    assert "$15.00" in page
    assert "Blue / M" in page
    assert offer("tee-m").public_id in page
    sold_out = client.get(address("product", product("Desk Lamp").public_id)).content.decode()
    assert "Sold out" in sold_out
    assert "Add to cart" not in sold_out
    for unknown in ("prod_999999", "nonsense", "var_0"):
        assert client.get(address("product", unknown)).status_code == 404


def test_a_withheld_product_has_no_page(client, shop, offer, olivia):
    from marketplace.catalog.products import withhold_product

    door = address("product", offer("cam").variant.product.public_id)
    assert client.get(door).status_code == 200
    withhold_product(product_id=offer("cam").variant.product_id, by=olivia, reason="recalled")
    assert client.get(door).status_code == 404


def test_a_description_is_text(client, merchant, load, product):
    load(merchant, "id,title,description,price,availability\na,<b>Mug</b>,<script>x</script>,1,in_stock\n")
    page = client.get(address("product", product("<b>Mug</b>").public_id)).content.decode()
    assert "<script>x" not in page
    assert "<b>Mug" not in page


def test_the_search_page(client, indexed):
    page = client.get(address("search"), {"q": "camera", "max": "900"}).content.decode()
    assert "Compact Digital Camera" in page
    assert "Nothing fits" in client.get(address("search"), {"category": "nowhere"}).content.decode()
    assert client.get(address("search"), {"cursor": "junk"}).status_code == 400
    assert client.get(address("search"), {"max": "NaN"}).status_code == 200


def test_the_search_page_says_when_only_meanings_fit(client, indexed):
    def page(query):
        return client.get(address("search"), {"q": query}).content.decode()

    said = "No product has these words"
    by_meaning = page("beverage merlot")
    assert "Red Wine" in by_meaning
    assert said in by_meaning
    assert 'aria-label="Filters"' not in by_meaning
    assert said not in page("camera")
    assert said not in page("")


def test_an_empty_store_says_so(client, db):
    assert "nothing to find yet" in client.get(address("search")).content.decode()


def test_an_operator_withholds_with_a_reason(client, shop, product):
    from tests.cast import person

    client.force_login(person("Root", is_staff=True, is_superuser=True))
    door = reverse("admin:catalog_product_changelist")
    chosen = {"action": "withhold", "_selected_action": product("Red Wine").pk}
    client.post(door, chosen)
    assert product("Red Wine").status == "active"
    client.post(door, {**chosen, "reason": "recalled"})
    assert product("Red Wine").status == "withheld"
    assert product("Red Wine").status_changes.get().reason == "recalled"
