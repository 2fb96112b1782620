"""Mails as Markdown (.eml, and Outlook's .msg), and the files that are attached to them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import partial
from pathlib import PurePosixPath
from typing import IO, Any

from spark_jobs.formats.container import ContainerBudget, Member
from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.format import Format
from spark_jobs.formats.html import PARSERS as HTML_PARSERS
from spark_jobs.formats.html import html_to_markdown


def read_eml(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    """Sender, receivers and date, then the body: its plain text, else its HTML."""
    mail = _parse_eml(file)
    subject = str(mail.get("Subject", "")).strip()
    headers = {name: str(mail[name]).strip() for name in ("From", "To", "Cc", "Date") if mail[name]}
    return ExtractedText(_markdown(subject, headers, _eml_body(mail)), subject, _sent_at(mail))


def eml_attachments(file: IO[bytes], limits: ParseLimits, budget: ContainerBudget) -> Iterator[Member]:
    """Attached files. None of a damaged mail: `read_eml` gives the reason."""
    file.seek(0)
    try:
        mail = _parse_eml(file)
    except Refused:
        return
    yield from _members(_attached_to_eml(mail), budget)


def _parse_eml(file: IO[bytes]) -> EmailMessage:
    from email import policy
    from email.parser import BytesParser

    mail: EmailMessage = BytesParser(policy=policy.default).parse(file)
    if not any(name in mail for name in ("From", "Subject", "Date", "Message-ID")):
        raise Refused("damaged: no mail (it has no From, Subject, Date or Message-ID). Export it again as .eml.")
    return mail


def _eml_body(mail: EmailMessage) -> str:
    body = mail.get_body(preferencelist=("plain", "html"))
    if not isinstance(body, EmailMessage):
        return ""
    payload = body.get_payload(decode=True)
    text = _decode(payload if isinstance(payload, bytes) else b"", str(body.get_content_charset() or "utf-8"))
    return html_to_markdown(text)[1] if body.get_content_type() == "text/html" else text


def _sent_at(mail: EmailMessage) -> datetime | None:
    date = getattr(mail["Date"], "datetime", None)
    if date is None:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)


def _attached_to_eml(mail: EmailMessage) -> Iterator[tuple[str, bytes]]:
    for number, part in enumerate(mail.iter_attachments(), start=1):
        if part.get_content_disposition() != "attachment" and part.get_content_maintype() == "image":
            continue  # the logo of a signature
        name = part.get_filename() or f"attachment-{number}"
        if part.get_content_type() == "message/rfc822":
            forwarded = part.get_payload(0)
            yield (name if name.lower().endswith(".eml") else f"{name}.eml"), forwarded.as_bytes()  # type: ignore[union-attr]
        else:
            payload = part.get_payload(decode=True)
            yield name, payload if isinstance(payload, bytes) else b""


# We read the streams of a .msg file ourselves. markitdown's OutlookMsgConverter drops attachments, Cc, the sender's
# name and a body that is HTML only, and puts every mail under the heading "Email Message".
_SUBJECT, _SENDER_NAME, _SENDER_ADDRESS, _TO, _CC = "0037", "0C1A", "0C1F", "0E04", "0E03"
_BODY, _ATTACHMENT_LONG_NAME, _ATTACHMENT_NAME = "1000", "3707", "3704"
_HTML_BODY, _ATTACHMENT_CONTENT = "__substg1.0_10130102", "__substg1.0_37010102"
_ATTACHMENT_FOLDER = "__attach_version1.0_#"


def read_msg(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    """Sender and receivers, then the body: its plain text, else its HTML."""
    import olefile

    with olefile.OleFileIO(file) as streams:
        subject = _msg_string(streams, _SUBJECT)
        headers = {
            "From": _msg_string(streams, _SENDER_NAME) or _msg_string(streams, _SENDER_ADDRESS),
            "To": _msg_string(streams, _TO),
            "Cc": _msg_string(streams, _CC),
        }
        body = _msg_string(streams, _BODY)
        if not body and streams.exists(_HTML_BODY):
            body = html_to_markdown(streams.openstream(_HTML_BODY).read().decode(errors="replace"))[1]
    headers = {name: value for name, value in headers.items() if value}
    if not subject and not headers and not body:
        raise Refused("damaged: no Outlook mail in it. Save it again as .msg or .eml.")
    return ExtractedText(_markdown(subject, headers, body), subject)


def msg_attachments(file: IO[bytes], limits: ParseLimits, budget: ContainerBudget) -> Iterator[Member]:
    """Attached files. None of a file that is no Outlook mail: `read_msg` gives the reason."""
    import olefile

    file.seek(0)
    if not olefile.isOleFile(file):
        return
    with olefile.OleFileIO(file) as streams:
        yield from _members(_attached_to_msg(streams), budget)


def _attached_to_msg(streams: Any) -> Iterator[tuple[str, bytes]]:
    folders = sorted({path[0] for path in streams.listdir() if path[0].startswith(_ATTACHMENT_FOLDER)})
    for number, folder in enumerate(folders, start=1):
        if streams.exists(f"{folder}/{_ATTACHMENT_CONTENT}"):
            name = _msg_string(streams, _ATTACHMENT_LONG_NAME, folder) or _msg_string(streams, _ATTACHMENT_NAME, folder)
            yield name or f"attachment-{number}", streams.openstream(f"{folder}/{_ATTACHMENT_CONTENT}").read()


def _msg_string(streams: Any, tag: str, folder: str = "") -> str:
    """A property of an Outlook mail, stored as Unicode or as 8-bit text; empty when the mail has none."""
    for kind, encoding in (("001F", "utf-16-le"), ("001E", "cp1252")):
        path = f"{folder}/__substg1.0_{tag}{kind}".lstrip("/")
        if streams.exists(path):
            content: bytes = streams.openstream(path).read()
            return content.decode(encoding, errors="replace").strip("\0 \r\n")
    return ""


def _members(attachments: Iterable[tuple[str, bytes]], budget: ContainerBudget) -> Iterator[Member]:
    """Attachments under different names: a second `plan.pdf` becomes `plan (2).pdf`."""
    uses: Counter[str] = Counter()
    for attached_name, content in attachments:
        name = PurePosixPath(attached_name.replace("\\", "/")).name or "attachment"
        uses[name] += 1
        if uses[name] > 1:
            path = PurePosixPath(name)
            name = f"{path.stem} ({uses[name]}){path.suffix}"
        budget.spend(1, len(content))
        yield Member(name, partial(bytes, content))


def _markdown(subject: str, headers: dict[str, str], body: str) -> str:
    heading = [f"# {subject}", ""] if subject else []
    return "\n".join([*heading, *(f"- {name}: {value}" for name, value in headers.items()), "", body.strip(), ""])


def _decode(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset, errors="replace")
    except LookupError:
        return content.decode(errors="replace")


FORMATS = (
    Format("mail", (".eml",), read_eml, members=eml_attachments, parsers=("email.parser", *HTML_PARSERS)),
    Format("Outlook mail", (".msg",), read_msg, members=msg_attachments, parsers=("olefile", *HTML_PARSERS)),
)
