"""Where the store's ways differ from allauth's: mails with an HTML body, TOTP secrets encrypted at rest."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives

from agentstore.kit.mail import render_html

_ACTIONS = {
    "account/email/email_confirmation": "Confirm the address",
    "account/email/email_confirmation_signup": "Confirm the address",
    "account/email/password_reset_key": "Choose a new password",
}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Account mails in the store's look."""

    def render_mail(
        self,
        template_prefix: str,
        email: str | list[str],
        context: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> EmailMessage:
        """allauth's text mail with the HTML body beside it."""
        message: EmailMessage = super().render_mail(template_prefix, email, context, headers)
        if isinstance(message, EmailMultiAlternatives):
            action = _ACTIONS.get(template_prefix, "Open the store")
            html = render_html(subject=str(message.subject), text=str(message.body), action=action)
            message.attach_alternative(html, "text/html")
        return message


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth ships no types
    """Authenticator secrets under a key derived from SECRET_KEY; its fallbacks still open older ones."""

    def encrypt(self, text: str) -> str:
        """Fernet (AES-128-CBC with HMAC-SHA-256)."""
        return _box().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises cryptography's InvalidToken when no known key made it."""
        return _box().decrypt(encrypted_text.encode()).decode()

    def build_totp_svg(self, url: str) -> str:
        """The QR code as an element to stand in a page: without the XML declaration, which HTML has not."""
        svg: str = super().build_totp_svg(url)
        return svg[svg.index("<svg") :]


def _box() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [hashlib.sha256(b"agentstore mfa\0" + key.encode()).digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
