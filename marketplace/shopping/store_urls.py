"""The store's front, cart, checkout and orders."""

from django.urls import URLPattern, URLResolver, path

from marketplace.shopping.views import cart, checkout, orders, store

store_urls: list[URLPattern | URLResolver] = [
    path("", store.store, name="store"),
    path("agents/<slug:slug>/", store.agent, name="agent"),
    path("cart/", cart.cart, name="cart"),
    path("cart/add", cart.add, name="cart-add"),
    path("cart/<int:line_id>/quantity", cart.update, name="cart-update"),
    path("cart/<int:line_id>/remove", cart.remove, name="cart-remove"),
    path("checkout/", checkout.checkout, name="checkout"),
    path("checkout/<uuid:checkout_id>/", checkout.pay, name="checkout-pay"),
    path("checkout/<uuid:checkout_id>/card", checkout.try_card, name="checkout-card"),
    path("checkout/<uuid:checkout_id>/status", checkout.status, name="checkout-status"),
    path("checkout/<uuid:checkout_id>/give-up", checkout.give_up, name="checkout-give-up"),
    path("orders/", orders.orders, name="orders"),
    path("orders/<uuid:order_id>/", orders.order, name="order"),
]
