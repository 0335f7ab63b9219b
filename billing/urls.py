from django.urls import URLPattern, URLResolver, path

from billing.views import developer, fees, ledger, merchant, operator, webhooks

app_name = "billing"
urlpatterns: list[URLPattern | URLResolver] = [
    path("webhooks/stripe/", webhooks.stripe_webhook, name="stripe_webhook"),
    path("fees/", fees.fees, name="fees"),
    path("operator/billing/", operator.overview, name="operator"),
    path("operator/ledger/", ledger.trial_balance, name="ledger"),
    path("operator/ledger/closes/", ledger.closes, name="closes"),
    path("operator/ledger/accounts/", ledger.accounts, name="accounts"),
    path("operator/ledger/accounts/<int:account_id>/", ledger.account, name="account"),
    path("operator/ledger/journals/<uuid:journal_id>/", ledger.journal, name="journal"),
    path("merchant/<slug:slug>/billing/", merchant.billing, name="merchant"),
    path("developer/<slug:slug>/earnings/", developer.earnings, name="earnings"),
]
