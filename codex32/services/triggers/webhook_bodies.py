"""The body of a delivery as expressions see it: JSON, a form, a text, or bytes in base 64.

What a sender says about files stands apart from what it sends as data: only the reader of
multipart bodies makes an :class:`Upload`, and nothing that stands in JSON becomes one.
"""

from __future__ import annotations

import base64
import codecs
import email.message
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from codex32.kernel.foreign_json import NotJson, parse_foreign
from codex32.kernel.json_values import JSON

#: Fields and files of a form.
MAX_FIELDS = 1000
_LONGEST_HEAD = 16 * 1024
#: Of one header: the library that takes them apart looks at all of it again for each.
_MOST_PARAMETERS = 32
#: Those that turn bytes into text in a time that grows with them alone, and into nothing but text.
_CHARSETS = frozenset(
    {"utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "ascii", "big5", "gbk"}
    | {"gb18030", "gb2312", "euc_jp", "euc_kr", "shift_jis", "cp932", "koi8-r", "koi8-u"}
    | {f"iso8859-{number}" for number in range(1, 17)}
    | {f"cp{number}" for number in range(1250, 1259)}
)


class BodyUnreadable(Exception):
    """The body is not what its content type says; the text tells the sender why."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart body."""

    field: str
    filename: str
    content_type: str
    data: bytes

    def as_json(self) -> dict[str, JSON]:
        """As expressions see it."""
        return {
            "field": self.field,
            "filename": self.filename,
            "content_type": self.content_type,
            "size": len(self.data),
            "base64": base64.b64encode(self.data).decode(),
        }


@dataclass(frozen=True, slots=True)
class Content:
    """What a body holds.

    Attributes:
      body: The value of JSON; the fields of a form; a text; other bytes as base 64; None for an
        empty body.
    """

    body: JSON
    files: Sequence[Upload] = ()


def read_content(body: bytes, content_type: str) -> Content:
    """What ``body`` holds, as the header ``Content-Type`` says.

    Raises:
      BodyUnreadable: It is not that.
    """
    if not body:
        return Content(None)
    head = _head(content_type)
    kind = content_type.partition(";")[0].strip().lower()
    subtype = kind.partition("/")[2]
    if subtype == "json" or subtype.endswith("+json"):
        try:
            return Content(parse_foreign(body))
        except NotJson as error:
            raise BodyUnreadable(str(error)) from None
    if kind == "application/x-www-form-urlencoded":
        return Content(_form(body))
    if kind == "multipart/form-data":
        return _multipart(body, head)
    if kind.startswith("text/") or subtype == "xml" or subtype.endswith("+xml"):
        return Content(_text(body, head.get_content_charset("utf-8")))
    return Content(base64.b64encode(body).decode())


def _head(content_type: str) -> email.message.Message:
    head = email.message.Message()
    # A header that breaks off into another is none.
    head["Content-Type"] = _bounded(content_type.partition("\r")[0].partition("\n")[0])
    return head


def _bounded(header: str) -> str:
    if header.count(";") > _MOST_PARAMETERS:
        raise BodyUnreadable(f"a header has more than {_MOST_PARAMETERS} parameters")
    return header


def _text(body: bytes, charset: str) -> str:
    try:
        if codecs.lookup(charset).name not in _CHARSETS:
            raise LookupError(charset)
        return body.decode(charset)
    except (LookupError, UnicodeError, ValueError):
        raise BodyUnreadable(f"the body is no text in {charset[:32]}") from None


def _form(body: bytes) -> dict[str, JSON]:
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        message = f"the body is no form of UTF-8 text with at most {MAX_FIELDS} fields"
        raise BodyUnreadable(message) from None
    return _fields(pairs)


def _fields(pairs: Sequence[tuple[str, str]]) -> dict[str, JSON]:
    """Fields by name: a text, or a list of texts where a name comes more than once."""
    fields: dict[str, JSON] = {}
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields


def _multipart(body: bytes, head: email.message.Message) -> Content:
    boundary = head.get_param("boundary")
    if not isinstance(boundary, str) or not 0 < len(boundary) <= 70 or not boundary.isascii():
        raise BodyUnreadable("the content type tells no boundary")
    mark = b"\r\n--" + boundary.encode()
    parts = (b"\r\n" + body).split(mark)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise BodyUnreadable("the body breaks off before its last boundary")
    if len(parts) - 2 > MAX_FIELDS:
        raise BodyUnreadable(f"the body has more than {MAX_FIELDS} parts")
    pairs: list[tuple[str, str]] = []
    files: list[Upload] = []
    for part in parts[1:-1]:
        field = _part(part)
        if isinstance(field, Upload):
            files.append(field)
        else:
            pairs.append(field)
    return Content(_fields(pairs), files)


def _part(part: bytes) -> Upload | tuple[str, str]:
    raw, gap, data = part.partition(b"\r\n\r\n")
    if not gap or len(raw) > _LONGEST_HEAD:
        raise BodyUnreadable("a part of the body has no end of its headers")
    head = _part_head(raw)
    name = head.get_param("name", header="content-disposition")
    if head.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise BodyUnreadable("a part of the body does not say which field it is")
    if head.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise BodyUnreadable("a part of the body is packed in a way that is not read")
    filename = head.get_filename()
    if filename is not None:
        return Upload(name, filename, head.get_content_type(), data)
    return name, _text(data, head.get_content_charset("utf-8"))


def _part_head(raw: bytes) -> email.message.Message:
    head = email.message.Message()
    try:
        lines = raw.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise BodyUnreadable("the headers of a part are no UTF-8 text") from None
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            head[name.strip()] = _bounded(value.strip())
    return head
