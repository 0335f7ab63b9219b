"""Mails: one text, two bodies that say the same."""

from agentstore.kit.mail import build_message, parts_of


def test_paragraphs_become_text_buttons_and_codes():
    parts = parts_of(
        "Hello <you>.\n\nhttps://store.example/x?y=1\n\nWXYZ-1234\n\n482913\n\nYours\n\n--\nAgent Store",
        action="Go",
    )
    assert [(part.kind, part.label) for part in parts] == [
        ("text", ""), ("link", "Go"), ("code", ""), ("code", ""), ("text", ""),
    ]  # fmt: skip


def test_words_are_not_codes():
    assert {part.kind for part in parts_of("HELLO\n\nUSA\n\nOK, 2 of 3\n\nsee https://a.example")} == {"text"}


def test_a_mail_has_both_bodies_and_escapes_what_people_wrote(mailoutbox):
    build_message(subject="Join <b>Acme</b>", text="Bob & <script>x</script>", to=["a@example.com"]).send()
    mail = mailoutbox[0]
    ((html, kind),) = mail.alternatives
    assert kind == "text/html"
    assert "<script>" not in html
    assert "Join &lt;b&gt;Acme" in html
    assert mail.body == "Bob & <script>x</script>\n"
