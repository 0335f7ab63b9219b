"""What a merchant's workspace shows of agents, orders and negotiation."""

from django.urls import URLPattern, URLResolver, path

from marketplace.shopping.views import negotiation, orders

merchant_urls: list[URLPattern | URLResolver] = [
    path("merchant/<slug:slug>/orders/", orders.merchant_orders, name="merchant-orders"),
    path("merchant/<slug:slug>/orders/<uuid:order_id>/", orders.merchant_order, name="merchant-order"),
    path(
        "merchant/<slug:slug>/orders/<uuid:order_id>/refunds/<uuid:refund_id>",
        orders.decide_refund,
        name="merchant-refund",
    ),
    path("merchant/<slug:slug>/negotiation/", negotiation.rules, name="negotiation"),
    path("merchant/<slug:slug>/negotiation/new/", negotiation.new_rule, name="negotiation-new"),
    path("merchant/<slug:slug>/negotiation/<uuid:rule_id>/", negotiation.rule, name="negotiation-rule"),
]
