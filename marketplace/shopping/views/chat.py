"""The conversation's page and what it calls. docs/guides/events.md describes the stream."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.paginator import Paginator
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from agentstore.kit.errors import Invalid, NotFound, StoreError
from agentstore.kit.sse import event_stream
from agentstore.kit.threads import in_thread
from marketplace.publishing.listings import get_live_agent
from marketplace.shopping import conversations, events, runner, streams, turns
from marketplace.shopping.cards import cards_for
from marketplace.shopping.chatlog import begun, price_limit, read_turns
from marketplace.shopping.models import Conversation, Message, NegotiationRound, Recommendation, Turn
from marketplace.shopping.negotiation.shown import rounds_for
from marketplace.shopping.shoppers import find_shopper, get_shopper

_PER_PAGE = 20
_SUGGESTIONS = ("A gift under $50", "Something for my kitchen, max $30", "Compare the three best for me")


@require_GET
def chats(request: HttpRequest) -> HttpResponse:
    """The shopper's past conversations."""
    shopper = find_shopper(request)
    rows = Conversation.objects.none()
    if shopper is not None:
        first = Message.objects.filter(conversation=OuterRef("pk"), role=Message.Role.SHOPPER)
        rows = (
            Conversation.objects.select_related("agent__developer")
            .filter(shopper=shopper, purpose=Conversation.Purpose.SHOPPING)
            .annotate(first_words=Subquery(first.order_by("at").values("text")[:1]))
        )
    page = Paginator(rows, _PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "shop/chats.html", {"page": page})


@require_POST
def open_chat(request: HttpRequest, slug: str) -> HttpResponse:
    """Begin a conversation with a live agent; `exposure` names where the shopper saw it."""
    conversation = conversations.open_conversation(
        shopper=get_shopper(request),
        agent=get_live_agent(slug),
        exposure_id=_uuid_or_none(request.POST.get("exposure", "")),
    )
    return redirect("shopping:chat", conversation.pk)


@require_GET
def chat(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """The conversation."""
    # The stream's end is read before the rows: an event in between is told twice, never lost.
    after = events.last_event_id(conversation_id)
    conversation = _mine(request, conversation_id)
    views = read_turns(conversation)
    if views and views[-1].running:
        after = events.BEGINNING
    context = {
        "conversation": conversation,
        "turns": views,
        "limit": price_limit(conversation),
        "after": after,
        "running": bool(views) and views[-1].running,
        "suggestions": _SUGGESTIONS,
        "letters": turns.MESSAGE_LETTERS,
        "close_url": reverse("shopping:chat-close", args=[conversation.pk]),
    }
    return render(request, "shop/chat.html", context)


@require_POST
async def post_message(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponseBase:
    """Take a message and let its turn run on after this answer. A script gets JSON, a plain form the page."""
    wants_json = "application/json" in request.headers.get("Accept", "")
    try:
        conversation, turn, after = await in_thread(_begin, request, conversation_id)
    except StoreError as refused:
        if not wants_json:
            raise
        return JsonResponse(refused.as_problem(), status=refused.status)
    runner.start(turn)
    if not wants_json:
        return redirect("shopping:chat", conversation_id)
    return JsonResponse(await in_thread(_drawn, request, conversation, turn, after), status=202)


def _begin(request: HttpRequest, conversation_id: uuid.UUID) -> tuple[Conversation, Turn, str]:
    conversation = _mine(request, conversation_id)
    after = events.last_event_id(conversation.pk)
    turn = turns.start_turn(conversation=conversation, text=request.POST.get("text", ""))
    return conversation, turn, after


def _drawn(request: HttpRequest, conversation: Conversation, turn: Turn, after: str) -> dict[str, Any]:
    """The new turn as the page inserts it, while the agent is at work already. It is drawn as it was begun:
    whatever has come since is told by the stream, after `after`.
    """
    conversation.refresh_from_db(fields=["limits"])
    view = begun(turn, agent_name=conversation.agent.name)
    return {
        "turn": str(turn.pk),
        "after": after,
        "html": render_to_string("shop/chat_turn.html", {"view": view}, request=request),
        "limit_html": _limit_html(request, conversation),
    }


@require_GET
async def stream(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponseBase:
    """The conversation's events, resumed after `Last-Event-ID` (or `after`) from any process."""
    resumed = request.headers.get("Last-Event-ID", "")
    after = resumed or request.GET.get("after", "") or events.BEGINNING
    if not events.is_event_id(after):
        raise Invalid("That is no event id.")
    await in_thread(_mine, request, conversation_id)
    if resumed and await streams.is_finished(conversation_id, resumed):
        return HttpResponse(status=204)
    return event_stream(streams.as_server_sent(conversation_id, after=after))


@require_GET
def card(request: HttpRequest, conversation_id: uuid.UUID, recommendation_id: uuid.UUID) -> HttpResponse:
    """One card, for a page that has just been told of it."""
    conversation = _mine(request, conversation_id)
    row = conversation.recommendations.filter(pk=recommendation_id, status=Recommendation.Status.SHOWN)
    found = cards_for(row)
    if not found:
        raise NotFound("There is no such card.")
    return render(request, "shop/chat_card.html", {"card": found[0]})


@require_GET
def negotiation_round(request: HttpRequest, conversation_id: uuid.UUID, round_id: uuid.UUID) -> HttpResponse:
    """One round of a negotiation, for a page that has just been told of it."""
    conversation = _mine(request, conversation_id)
    found = rounds_for(NegotiationRound.objects.filter(pk=round_id, negotiation__conversation=conversation))
    if not found:
        raise NotFound("There is no such round.")
    return render(request, "shop/chat_round.html", {"round": found[0]})


@require_POST
async def stop(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponseBase:
    """Stop the answer that is being given."""
    conversation = await in_thread(_mine, request, conversation_id)
    stopped = await in_thread(turns.stop_turn, conversation=conversation)
    if stopped is not None:
        runner.interrupt(stopped)
    return redirect("shopping:chat", conversation_id)


@require_POST
def lift_limit(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Take the price limit away."""
    conversation = _mine(request, conversation_id)
    conversations.lift_limit(conversation=conversation)
    conversation.refresh_from_db(fields=["limits"])
    if request.headers.get("HX-Request"):
        return HttpResponse(_limit_html(request, conversation))
    return redirect("shopping:chat", conversation_id)


@require_POST
def close(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """End the conversation."""
    conversation = _mine(request, conversation_id)
    conversations.close_conversation(conversation=conversation, by="shopper", reason="ended by the shopper")
    return redirect("shopping:chat", conversation_id)


@require_POST
def delete(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Delete what was said."""
    conversations.delete_conversation(conversation=_mine(request, conversation_id))
    return redirect(reverse("shopping:chats"))


def _mine(request: HttpRequest, conversation_id: uuid.UUID) -> Conversation:
    return conversations.conversation_for(find_shopper(request), conversation_id)


def _limit_html(request: HttpRequest, conversation: Conversation) -> str:
    context = {"conversation": conversation, "limit": price_limit(conversation)}
    return render_to_string("shop/chat_limit.html", context, request=request)


def _uuid_or_none(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
