"""The cart reads prices and stock each time and remembers the card that a line came from."""

import pytest

from agentstore.kit.errors import Invalid, NotFound
from marketplace.catalog.models import Offer, Product
from marketplace.catalog.stock import OutOfStock
from marketplace.shopping import carts
from marketplace.shopping.models import Shopper
from tests.orders.world import sell, usd


def test_adding_twice_adds_up_and_keeps_the_card(shopper, card):
    carts.add_to_cart(shopper=shopper, offer_id=card.offer_id, recommendation_id=card.pk)
    line = carts.add_to_cart(shopper=shopper, offer_id=card.offer_id, quantity=2)
    assert (line.quantity, line.recommendation_id) == (3, card.pk)
    assert carts.read_cart(shopper).total == usd("297")


def test_a_changed_price_is_told_and_taken(shopper, headphones):
    carts.add_to_cart(shopper=shopper, offer_id=headphones.pk)
    Offer.objects.filter(pk=headphones.pk).update(price_micros=usd("109").micros)
    cart = carts.read_cart(shopper)
    assert cart.total == usd("109")
    assert "$99.00 before, $109.00 now" in cart.items[0].notice
    carts.change_quantity(shopper=shopper, line_id=cart.items[0].line.pk, quantity=1)
    assert carts.read_cart(shopper).items[0].notice == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"on_hand": 0}, "out of stock"),
        ({"on_hand": 1}, "Only 1 left"),
        ({"active": False}, "no longer for sale"),
        ({"currency": "EUR"}, "takes USD only"),
    ],
)
def test_what_cannot_be_bought_stands_in_the_way(shopper, headphones, change, words):
    carts.add_to_cart(shopper=shopper, offer_id=headphones.pk, quantity=2)
    Offer.objects.filter(pk=headphones.pk).update(**change)
    cart = carts.read_cart(shopper)
    assert words in cart.items[0].problem
    assert not cart.ready
    assert cart.total == usd("0")


def test_what_is_not_for_sale_is_not_added(shopper, headphones):
    Product.objects.update(status=Product.Status.WITHHELD)
    with pytest.raises(carts.NotForSale):
        carts.add_to_cart(shopper=shopper, offer_id=headphones.pk)
    with pytest.raises(carts.NotForSale):
        carts.add_to_cart(shopper=shopper, offer_id=headphones.pk + 1)


@pytest.mark.parametrize("quantity", [0, -1, 100])
def test_quantities_are_1_to_99(shopper, headphones, quantity):
    with pytest.raises(Invalid):
        carts.add_to_cart(shopper=shopper, offer_id=headphones.pk, quantity=quantity)


def test_more_than_there_are_is_refused(shopper, headphones):
    carts.add_to_cart(shopper=shopper, offer_id=headphones.pk, quantity=4)
    with pytest.raises(OutOfStock):
        carts.add_to_cart(shopper=shopper, offer_id=headphones.pk, quantity=2)


def test_another_shoppers_card_and_cart_are_not_there(shopper, card, charlie, merchant):
    other = Shopper.objects.create(user=charlie)
    with pytest.raises(NotFound):
        carts.add_to_cart(shopper=other, offer_id=card.offer_id, recommendation_id=card.pk)
    line = carts.add_to_cart(shopper=shopper, offer_id=card.offer_id)
    with pytest.raises(NotFound):
        carts.remove_line(shopper=other, line_id=line.pk)
    with pytest.raises(NotFound):
        carts.change_quantity(shopper=other, line_id=line.pk, quantity=3)


def test_a_card_of_another_product_earns_nothing(shopper, card, merchant):
    kettle = sell(merchant, "Kettle")
    with pytest.raises(NotFound):
        carts.add_to_cart(shopper=shopper, offer_id=kettle.pk, recommendation_id=card.pk)


def test_paying_takes_out_what_was_bought_and_leaves_what_was_added_since(shopper, headphones, merchant):
    kettle = sell(merchant, "Kettle", "20")
    carts.add_to_cart(shopper=shopper, offer_id=headphones.pk, quantity=3)
    carts.add_to_cart(shopper=shopper, offer_id=kettle.pk)
    carts.take_out_bought(shopper=shopper, bought={headphones.pk: 2})
    assert [(i.line.offer_id, i.line.quantity) for i in carts.read_cart(shopper).items] == [
        (headphones.pk, 1), (kettle.pk, 1),
    ]  # fmt: skip
