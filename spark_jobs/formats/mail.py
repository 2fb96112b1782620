"""Mails as Markdown (.eml, Outlook's .msg, saved web pages .mhtml), mailboxes (.mbox), and what is attached to them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import partial
from pathlib import PurePosixPath
from typing import IO, Any

from spark_jobs.formats.container import ContainerBudget, Member
from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.encodings import declared_in_markup, decode
from spark_jobs.formats.format import Format
from spark_jobs.formats.html import PARSERS as HTML_PARSERS
from spark_jobs.formats.html import html_to_markdown

_READ_AS_TEXT = ("text/plain", "text/html", "text/calendar", "text/enriched", "text/markdown")
_LAYOUT = ("text/css", "text/javascript", "application/javascript", "application/pgp-signature")
_KNOWN_WORDS_SHARE = 0.5  # of the words of an HTML body; a plain one with fewer of them says something else


def read_eml(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    """Sender, receivers and date, then the parts of the body; of alternatives the one that says more."""
    mail = _parse_eml(file)
    subject = _header(mail, "Subject")
    headers = {name: value for name in ("From", "To", "Cc", "Date") if (value := _header(mail, name))}
    body = "\n\n".join(text for part in _body_parts(mail) if (text := _text(part).strip()))
    sender = headers.get("From")
    return ExtractedText(_markdown(subject, headers, body), subject, _sent_at(mail), sender)


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


def _header(mail: EmailMessage, name: str) -> str:
    """A header on one line; raw bytes in it, which older programs write, in the encoding that they tell."""
    try:
        value = str(mail.get(name, ""))
    except (ValueError, LookupError, IndexError, AttributeError):  # a damaged header costs only itself
        return ""
    if any("\udc80" <= character <= "\udcff" for character in value):
        value = decode(value.encode(errors="surrogateescape"))
    return " ".join(value.split())


def _body_parts(part: EmailMessage) -> Iterator[EmailMessage]:
    """The parts that a reader sees as the mail's text; of `multipart/alternative` the richest."""
    kind = part.get_content_type()
    if part.get_content_maintype() == "multipart":
        children = [list(_body_parts(child)) for child in part.iter_parts() if isinstance(child, EmailMessage)]
        if kind == "multipart/alternative":
            yield from _richest(children)
        elif kind == "multipart/related":
            yield from next(filter(None, children), [])
        else:
            for parts in children:
                yield from parts
    elif kind in _READ_AS_TEXT and part.get_content_disposition() != "attachment" and not part.get_filename():
        yield part


def _richest(alternatives: list[list[EmailMessage]]) -> list[EmailMessage]:
    """The plain text where it says what the HTML says, because it needs no conversion; else the HTML.

    Both where the plain text says more, but something else. The calendar entry of an invitation stays too.
    """
    calendars = [part for parts in alternatives for part in parts if part.get_content_type() == "text/calendar"]
    alternatives = [parts for parts in alternatives if parts and parts[0] not in calendars]
    if not alternatives:
        return calendars
    words = [set(re.findall(r"\w+", " ".join(map(_text, parts)).lower())) for parts in alternatives]
    richest = max((number for number, said in enumerate(words) if said), default=0)  # the last one, by the standard
    for number, parts in enumerate(alternatives[:richest]):
        if all(part.get_content_type() == "text/plain" for part in parts):
            if len(words[number] & words[richest]) > _KNOWN_WORDS_SHARE * len(words[richest]):
                return parts + calendars
            if len(words[number]) > len(words[richest]):
                return parts + alternatives[richest] + calendars
    return alternatives[richest] + calendars


def _text(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    is_html = part.get_content_type() in ("text/html", "text/enriched")
    declared = part.get_content_charset() or (declared_in_markup(content) if is_html else None)
    try:
        text = decode(content, declared)
    except Refused:  # a damaged part costs only its own letters, which the rule against damage counts
        text = content.decode(errors="replace")
    return html_to_markdown(text)[1] if is_html else text.replace("\r\n", "\n")


def _sent_at(mail: EmailMessage) -> datetime | None:
    try:
        date = getattr(mail["Date"], "datetime", None)
        return date and (date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC))
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def _attached_to_eml(mail: EmailMessage) -> Iterator[tuple[str, bytes]]:
    for number, part in enumerate(_attached_parts(mail), start=1):
        name = part.get_filename() or f"attachment-{number}{_suffix_of(part)}"
        if part.get_content_type() == "message/rfc822":
            forwarded = part.get_payload(0)
            yield (name if name.lower().endswith(".eml") else f"{name}.eml"), forwarded.as_bytes()  # type: ignore[union-attr]
        else:
            payload = part.get_payload(decode=True)
            yield name, payload if isinstance(payload, bytes) else b""


def _attached_parts(part: EmailMessage) -> Iterator[EmailMessage]:
    """What is not the mail's text; what its layout needs (the logo of a signature, style sheets) is left out."""
    if part.get_content_maintype() == "multipart":
        for child in part.iter_parts():
            if isinstance(child, EmailMessage):
                yield from _attached_parts(child)
        return
    is_attached = part.get_content_disposition() == "attachment"
    is_body = part.get_content_type() in _READ_AS_TEXT and not part.get_filename()
    is_layout = part.get_content_maintype() in ("image", "font") or part.get_content_type() in _LAYOUT
    if is_attached or not (is_body or is_layout):
        yield part


def _suffix_of(part: EmailMessage) -> str:
    import mimetypes

    return (
        "" if part.get_content_type() == "message/rfc822" else mimetypes.guess_extension(part.get_content_type()) or ""
    )


def mbox_mails(file: IO[bytes], limits: ParseLimits, budget: ContainerBudget) -> Iterator[Member]:
    """The mails of a mailbox, named by their number and subject; each begins with a line `From ` behind a blank one."""
    if not file.read(5) == b"From ":
        raise Refused("damaged: no mailbox (it does not begin with 'From '). Export it again as .mbox or .eml.")
    file.seek(0)
    for number, content in enumerate(_split_mbox(file, limits.file_bytes), start=1):
        budget.spend(1, len(content))
        yield Member(f"{number:05d}.eml", partial(bytes, content))


def _split_mbox(file: IO[bytes], max_bytes: int) -> Iterator[bytes]:
    lines: list[bytes] = []
    is_blank_before = True
    file.readline(max_bytes)
    while line := file.readline(max_bytes):
        if is_blank_before and line.startswith(b"From "):
            yield b"".join(lines)
            lines = []
        else:  # `>From ` is how a mailbox writes a line of text that begins with `From `
            lines.append(line[1:] if line.lstrip(b">").startswith(b"From ") and line[:1] == b">" else line)
        is_blank_before = not line.strip()
    yield b"".join(lines)


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
            html = streams.openstream(_HTML_BODY).read().rstrip(b"\0")
            body = html_to_markdown(decode(html, declared_in_markup(html)))[1]
    headers = {name: value for name, value in headers.items() if value}
    if not subject and not headers and not body:
        raise Refused("damaged: no Outlook mail in it. Save it again as .msg or .eml.")
    return ExtractedText(_markdown(subject, headers, body), subject, author=headers.get("From"))


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
    for kind, encoding in (("001F", "utf-16-le"), ("001E", "")):
        path = f"{folder}/__substg1.0_{tag}{kind}".lstrip("/")
        if streams.exists(path):
            content: bytes = streams.openstream(path).read()
            text = content.decode(encoding, errors="replace") if encoding else decode(content.rstrip(b"\0"), "cp1252")
            return text.strip("\0 \r\n")
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


FORMATS = (
    Format(
        "mail",
        (".eml", ".mht", ".mhtml"),
        read_eml,
        members=eml_attachments,
        parsers=("email.parser", *HTML_PARSERS),
        media_types=("message/rfc822",),
    ),
    Format("Outlook mail", (".msg",), read_msg, members=msg_attachments, parsers=("olefile", *HTML_PARSERS)),
    Format("mailbox", (".mbox",), None, members=mbox_mails, media_types=("application/mbox",)),
)
