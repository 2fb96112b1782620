"""Mails and mailboxes: the richest form of each, its parts in their order, in the charset of each."""

import io
from email.message import EmailMessage

import pytest

from spark_jobs.formats.container import ContainerBudget
from spark_jobs.formats.document import ParseLimits, Refused
from spark_jobs.formats.mail import eml_attachments, mbox_mails, read_eml

LIMITS = ParseLimits(document_bytes=100_000, file_bytes=1_000_000, seconds=30, memory_mb=512)
HEADERS = "From: Mia <mia@x.example>\nTo: Tom\nSubject: Recall\nMIME-Version: 1.0\n"


def body(mail: EmailMessage | str | bytes) -> str:
    """The text behind the headers."""
    raw = mail.as_bytes() if isinstance(mail, EmailMessage) else mail.encode() if isinstance(mail, str) else mail
    return read_eml(io.BytesIO(raw), LIMITS).text.partition("\n\n")[2].partition("\n\n")[2].strip()


def attached(raw: str) -> dict[str, bytes]:
    members = eml_attachments(io.BytesIO(raw.encode()), LIMITS, ContainerBudget(1_000_000))
    return {member.name: member.read() for member in members}


def two_forms(plain: str, html: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "mia@x.example", "Recall"
    mail.set_content(plain)
    mail.add_alternative(html, subtype="html")
    return mail


@pytest.mark.parametrize(
    ("plain", "html", "text"),
    [
        ("Your program cannot.", "<p>Lot <b>55190</b> is recalled.</p>", "Lot **55190** is recalled."),
        ("This program shows no HTML at all.", "<p>Lot 55190</p>", "This program shows no HTML at all.\n\nLot 55190"),
        ("\n\n", "<p>Tariff TRF-90210.</p>", "Tariff TRF-90210."),
        ("Lot 55190 is recalled.", "<p>Lot <b>55190</b> is recalled.</p>", "Lot 55190 is recalled."),
    ],
)
def test_of_two_forms_the_richer_one_is_read(plain: str, html: str, text: str) -> None:
    assert body(two_forms(plain, html)) == text


def part(content_type: str, text: str, disposition: str = "") -> str:
    return (
        f"--B\nContent-Type: {content_type}\n"
        + (f"Content-Disposition: {disposition}\n" if disposition else "")
        + (f"\n{text}\n")
    )


def test_text_behind_an_attachment_is_read_and_the_attachment_stays_one() -> None:
    parts = part("text/plain", "First.") + part("text/csv", "a,b", 'inline; filename="n.csv"')
    mail = f"{HEADERS}Content-Type: multipart/mixed; boundary=B\n\n{parts}{part('text/plain', 'Second.')}--B--\n"

    assert body(mail) == "First.\n\nSecond."
    assert attached(mail) == {"n.csv": b"a,b"}


def test_an_invitation_keeps_its_calendar_entry() -> None:
    parts = part("text/plain", "Please come.") + part("text/calendar", "BEGIN:VCALENDAR\nLOCATION:Bay 7\nEND:VCALENDAR")
    mail = f"{HEADERS}Content-Type: multipart/alternative; boundary=B\n\n{parts}--B--\n"

    assert body(mail) == "Please come.\n\nBEGIN:VCALENDAR\nLOCATION:Bay 7\nEND:VCALENDAR"


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("koi8-r", "koi8_r"), ("us-ascii", "koi8_r"), ("windows-1251", "utf-8"), ("x-new", "utf-8")],
)
def test_a_body_is_read_in_its_charset_whatever_it_declares(charset: str, encoding: str) -> None:
    text = "Привет, мир! Как дела сегодня?"
    head = f"{HEADERS}Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n\n"

    assert body(head.encode() + text.encode(encoding)) == text


def test_the_sender_is_the_author() -> None:
    assert read_eml(io.BytesIO(f"{HEADERS}\nHi".encode()), LIMITS).author == "Mia <mia@x.example>"


def test_a_mailbox_holds_its_mails_in_their_order() -> None:
    box = f"From a Mon\n{HEADERS}\nOne.\n>From here on.\n\nFrom b Tue\n{HEADERS}\nTwo.\nFrom the team\n"

    mails = [member.read() for member in mbox_mails(io.BytesIO(box.encode()), LIMITS, ContainerBudget(10_000))]

    assert [body(mail) for mail in mails] == ["One.\nFrom here on.", "Two.\nFrom the team"]
    with pytest.raises(Refused, match="no mailbox"):
        next(mbox_mails(io.BytesIO(b"hello"), LIMITS, ContainerBudget(10_000)))
    with pytest.raises(Refused, match="zip bomb"):
        list(mbox_mails(io.BytesIO(box.encode()), LIMITS, ContainerBudget(100)))
