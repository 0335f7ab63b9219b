from django.urls import URLPattern, URLResolver, path

from billing.views import webhooks

app_name = "billing"
urlpatterns: list[URLPattern | URLResolver] = [
    path("webhooks/stripe/", webhooks.stripe_webhook, name="stripe_webhook"),
]
