"""The shopper's pages, and those of others that speak of conversations."""

from django.urls import URLPattern, URLResolver, path

from marketplace.shopping.merchant_urls import merchant_urls
from marketplace.shopping.store_urls import store_urls
from marketplace.shopping.ucp.urls import ucp_urls
from marketplace.shopping.views import chat, privacy, trace

app_name = "shopping"

conversation_urls: list[URLPattern | URLResolver] = [
    path("chats/", chat.chats, name="chats"),
    path("chat/open/<slug:slug>/", chat.open_chat, name="chat-open"),
    path("chat/<uuid:conversation_id>/", chat.chat, name="chat"),
    path("chat/<uuid:conversation_id>/messages", chat.post_message, name="chat-message"),
    path("chat/<uuid:conversation_id>/events", chat.stream, name="chat-events"),
    path("chat/<uuid:conversation_id>/cards/<uuid:recommendation_id>", chat.card, name="chat-card"),
    path("chat/<uuid:conversation_id>/rounds/<uuid:round_id>", chat.negotiation_round, name="chat-round"),
    path("chat/<uuid:conversation_id>/stop", chat.stop, name="chat-stop"),
    path("chat/<uuid:conversation_id>/limit", chat.lift_limit, name="chat-limit"),
    path("chat/<uuid:conversation_id>/close", chat.close, name="chat-close"),
    path("chat/<uuid:conversation_id>/delete", chat.delete, name="chat-delete"),
    path("privacy/", privacy.privacy, name="privacy"),
    path("privacy/consent", privacy.consent, name="privacy-consent"),
    path("privacy/about-you", privacy.about_you, name="privacy-about-you"),
    path("privacy/export", privacy.export, name="privacy-export"),
    path("privacy/delete", privacy.delete_all, name="privacy-delete"),
    path("developer/<slug:slug>/conversations/", trace.conversations, name="traces"),
    path("developer/<slug:slug>/conversations/<uuid:conversation_id>/", trace.conversation, name="trace"),
    path("developer/<slug:slug>/agents/<slug:agent>/failures/", trace.failures, name="failures"),
    path("operator/rehearsals/<uuid:conversation_id>/", trace.rehearsal, name="rehearsal-trace"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    *store_urls,
    *merchant_urls,
    *conversation_urls,
    *ucp_urls,
]
