"""What a merchant's workspace shows of agents, orders and negotiation."""

from django.urls import URLPattern, URLResolver, path

from marketplace.shopping.views import merchant_agents, negotiation, orders

merchant_urls: list[URLPattern | URLResolver] = [
    path("merchant/<slug:slug>/orders/", orders.merchant_orders, name="merchant-orders"),
    path("merchant/<slug:slug>/orders/<uuid:order_id>/", orders.merchant_order, name="merchant-order"),
    path(
        "merchant/<slug:slug>/orders/<uuid:order_id>/refunds/<uuid:refund_id>",
        orders.decide_refund,
        name="merchant-refund",
    ),
    path("merchant/<slug:slug>/agents/", merchant_agents.agents, name="merchant-agents"),
    path(
        "merchant/<slug:slug>/agents/recommendations/",
        merchant_agents.recommendations,
        name="merchant-recommendations",
    ),
    path("merchant/<slug:slug>/agents/refused/", merchant_agents.refused, name="merchant-refused"),
    path("merchant/<slug:slug>/agents/sales/", merchant_agents.sales, name="merchant-sales"),
    path("merchant/<slug:slug>/agents/costs/", merchant_agents.costs, name="merchant-costs"),
    path(
        "merchant/<slug:slug>/agents/recommendations.csv",
        merchant_agents.claims_csv,
        name="merchant-recommendations-csv",
    ),
    path("merchant/<slug:slug>/agents/sales.csv", merchant_agents.sales_csv, name="merchant-sales-csv"),
    path("merchant/<slug:slug>/agents/costs.csv", merchant_agents.costs_csv, name="merchant-costs-csv"),
    path("merchant/<slug:slug>/negotiation/", negotiation.rules, name="negotiation"),
    path("merchant/<slug:slug>/negotiation/made/", negotiation.made, name="negotiations-made"),
    path("merchant/<slug:slug>/negotiation/new/", negotiation.new_rule, name="negotiation-new"),
    path("merchant/<slug:slug>/negotiation/<uuid:rule_id>/", negotiation.rule, name="negotiation-rule"),
]
