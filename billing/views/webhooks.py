"""The processor's door: signed events in, 200 once they are safe in the inbox."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing import webhooks
from billing.processor.errors import InvalidSignature


@csrf_exempt
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """POST /webhooks/stripe/: the signature is the caller's only credential."""
    try:
        event = webhooks.receive(body=request.body, signature=request.headers.get("Stripe-Signature", ""))
    except InvalidSignature as refused:
        return JsonResponse(refused.as_problem(), status=refused.status)
    return JsonResponse({"received": event.external_id})
