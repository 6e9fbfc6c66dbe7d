"""Reads documents that others wrote; runs in a sandbox, on the standard library and pypdf.

Its text is handed to a program runner as it stands here, so it imports nothing of the house. What
a hostile file can reach is one cell without network, with limits on time, memory and the answer;
the limits below only let it fail with a sentence instead of being killed.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import islice
from typing import Any
from xml.parsers import expat

MOST_CHARACTERS = 5_000_000
MOST_PAGES = 2_000
MOST_PART_BYTES = 64 * 1024 * 1024
_WORD_NS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_ROWS_TOGETHER = 20
#: The first two bytes of UTF-32 are those of UTF-16.
_MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16",
          b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}  # fmt: skip
_CHARSET = re.compile(rb"(?i)<meta[^>]{0,200}?charset\s*=\s*[\"']?([a-z0-9_.:-]{1,40})")
_DELIMITERS = ",;\t|"
#: By so many rows it is judged which of them a file has.
_ROWS_TRIED = 50
_STYLE = re.compile(r"(?i)(?:heading|titel|überschrift|berschrift)\s?(\d)|title")


class Unreadable(Exception):
    """A document that cannot be read; the text says why."""


def main(files: list[dict[str, Any]], libraries: list[str]) -> list[dict[str, Any]]:
    """Read each file by itself: ``{"sections": [[headings, text], …]}`` or ``{"error": why}``.

    With the sections comes ``sha256``, of the bytes they are from.
    """
    sys.path[:0] = libraries
    # A recursion that goes deep must end as an error and not as a broken process.
    sys.setrecursionlimit(400)
    csv.field_size_limit(MOST_CHARACTERS)
    return [_read(each) for each in files]


def _read(file: dict[str, Any]) -> dict[str, Any]:
    try:
        if "path" in file:
            with open(file["path"], "rb") as opened:
                data = opened.read()
        else:
            data = base64.b64decode(file["data"])
        sections = READERS[file["kind"]](data, file.get("charset"))
    except Unreadable as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "it needs more memory than a document may"}
    except Exception as error:
        return {"error": f"it is damaged: {type(error).__name__}: {error}"[:300]}
    if sum(len(text) for _, text in sections) > MOST_CHARACTERS:
        return {"error": f"it has more than {MOST_CHARACTERS} characters"}
    return {"sections": sections, "sha256": hashlib.sha256(data).hexdigest()}


def decoded(data: bytes, declared: str | None = None) -> str:
    """Bytes as text: as their mark says, else the first that fits.

    These are UTF-16, which its zeros tell; UTF-8, which is hardly ever right by chance; what is
    ``declared``, which often is what a server says of all its pages; what Windows writes; and
    Latin-1, which never fails.
    """
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            return data.decode(name, errors="replace")
    if unmarked := _unmarked(data):
        return data.decode(unmarked, errors="replace")
    for name in filter(None, ("utf-8", declared, "cp1252")):
        try:
            return data.decode(name)
        except (ValueError, LookupError):
            continue
    return data.decode("latin-1")


def _unmarked(data: bytes) -> str | None:
    """UTF-16 that lacks its mark: one byte of each pair is often zero, the other hardly ever."""
    first, second = data[::2].count(0), data[1::2].count(0)
    most, least = max(first, second), min(first, second)
    # Zeros are valid UTF-8, too, but no text in that has so many.
    if most < 2 or most * 25 < len(data) or least * 10 > most:
        return None
    return "utf-16-le" if second > first else "utf-16-be"


class _Html(HTMLParser):
    HIDDEN = frozenset({"script", "style", "noscript", "template", "svg", "iframe", "object"})
    BLOCKS = frozenset(
        [
            "p", "div", "section", "article", "main", "header", "footer", "aside", "nav", "ul",
            "ol", "li", "table", "tr", "pre", "blockquote", "figure", "dl", "dt", "dd",
            "hr", "br", "h1", "h2", "h3", "h4", "h5", "h6", "title",
        ]
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: list[list[Any]] = []
        self.path: list[tuple[int, str]] = []
        self.parts: list[str] = []
        self.heading: list[str] | None = None
        self.hidden = 0
        self.level = 0
        #: Whether the headings have changed since the last section.
        self.fresh = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag in self.HIDDEN:
            self.hidden += 1
        elif re.fullmatch("h[1-6]", tag):
            self.titled()
            self.flush()
            self.level, self.heading = int(tag[1]), []
        elif tag == "title":
            self.level, self.heading = 0, []
        elif tag in self.BLOCKS:
            if tag != "br" and self.heading and "".join(self.heading).strip():
                # Nobody closed it, and all that follows would be heading.
                self.titled()
            self.parts.append("\n\n" if tag in ("p", "section", "article", "pre") else "\n")
        elif tag in ("td", "th"):
            self.parts.append(" | ")

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        if tag not in self.HIDDEN:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.HIDDEN:
            self.hidden = max(self.hidden - 1, 0)
        elif self.heading is not None and (re.fullmatch("h[1-6]", tag) or tag == "title"):
            self.titled()
        elif tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self.hidden:
            return
        (self.parts if self.heading is None else self.heading).append(data)

    def titled(self) -> None:
        title = " ".join("".join(self.heading or ()).split())
        if title and self.level:
            self.path = [each for each in self.path if each[0] < self.level]
            self.path.append((self.level, title))
            self.fresh = True
        self.heading = None

    def flush(self) -> None:
        text = re.sub(r"[ \t\r\f\v]+", " ", "".join(self.parts))
        text = re.sub(r" ?\n ?", "\n", text)
        text = re.sub(r"\n{3,}", "\n\n", text).strip()
        self.parts = []
        if text or self.fresh:
            self.sections.append([[title for _, title in self.path], text])
        self.fresh = False


def read_html(data: bytes, declared: str | None = None) -> list[list[Any]]:
    """HTML by its headings, without scripts and styles."""
    said = _CHARSET.search(data[:2048])
    parser = _Html()
    parser.feed(decoded(data, declared or (said[1].decode() if said else None)))
    parser.close()
    parser.titled()
    parser.flush()
    return parser.sections


def read_csv(data: bytes, declared: str | None = None) -> list[list[Any]]:
    """Rows as ``column: value`` lines, some together, so that each chunk tells its columns."""
    text = re.sub(r"\r\n?", "\n", decoded(data, declared))
    delimiter = max(_DELIMITERS, key=lambda each: _fit(text, each))
    rows = [row for row in _rows(text, delimiter) if any(map(str.strip, row))]
    if len(rows) < 2:
        return [[[], "; ".join(rows[0])]] if rows else []
    names, found, size = rows[0], [], 0
    for row in rows[1:]:
        line = "; ".join(
            f"{names[at] if at < len(names) else at + 1}: {value}"
            for at, value in enumerate(row)
            if value.strip()
        )
        size += len(line)
        if size > MOST_CHARACTERS:
            raise Unreadable(f"it has more than {MOST_CHARACTERS} characters")
        found.append(line)
    together = range(0, len(found), _ROWS_TOGETHER)
    return [
        [[f"rows {at + 1} to {min(at + _ROWS_TOGETHER, len(found))}"],
         "\n".join(found[at : at + _ROWS_TOGETHER])]
        for at in together
    ]  # fmt: skip


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text), delimiter=delimiter)


def _fit(text: str, delimiter: str) -> tuple[int, int]:
    """How many of the first rows it cuts as the first one, and into how many."""
    rows = islice(_rows(text, delimiter), _ROWS_TRIED)
    first, *others = [len(row) for row in rows if row] or [0]
    return (1 + others.count(first), first) if first > 1 else (0, first)


class _Docx:
    """Paragraphs of ``word/document.xml``, by the styles of headings."""

    def __init__(self) -> None:
        self.sections: list[list[Any]] = []
        self.path: list[tuple[int, str]] = []
        self.lines: list[str] = []
        self.parts: list[str] = []
        self.style = ""
        self.in_text = False
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.StartDoctypeDeclHandler = self.refuse
        self.depth = 0
        #: Whether the headings have changed since the last section.
        self.fresh = False

    def refuse(self, *_: object) -> None:
        raise Unreadable("it declares a document type, which no DOCX does")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > 200:
            raise Unreadable("it is nested too deeply")
        _, _, tag = name.rpartition(" ")
        if not name.startswith(_WORD_NS):
            return
        if tag == "pStyle":
            self.style = attributes.get(f"{_WORD_NS} val", "")
        elif tag == "t":
            self.in_text = True
        elif tag in ("tab", "br"):
            self.parts.append(" ")

    def end(self, name: str) -> None:
        self.depth -= 1
        if not name.startswith(_WORD_NS):
            return
        _, _, tag = name.rpartition(" ")
        if tag == "t":
            self.in_text = False
        elif tag == "p":
            self.paragraph("".join(self.parts).strip())
            self.parts, self.style = [], ""

    def text(self, data: str) -> None:
        if self.in_text:
            self.parts.append(data)

    def paragraph(self, text: str) -> None:
        level = _STYLE.fullmatch(self.style)
        if not text:
            return
        if level is None:
            self.lines.append(text)
            return
        self.flush()
        depth = int(level.group(1) or 0)
        self.path = [each for each in self.path if each[0] < depth] + [(depth, text)]
        self.fresh = True

    def flush(self) -> None:
        if self.lines or self.fresh:
            titles = [title for _, title in self.path]
            self.sections.append([titles, "\n\n".join(self.lines)])
        self.lines, self.fresh = [], False


def read_docx(data: bytes, _: str | None = None) -> list[list[Any]]:
    """The paragraphs of a Word document; only its main part is unpacked, and only so far."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        try:
            part = packed.getinfo("word/document.xml")
        except KeyError:
            raise Unreadable("it is no Word document") from None
        with packed.open(part) as opened:
            # What the directory says of the size is the file's own word.
            xml = opened.read(MOST_PART_BYTES + 1)
    if len(xml) > MOST_PART_BYTES:
        raise Unreadable(f"its text unpacks to more than {MOST_PART_BYTES >> 20} MiB")
    reader = _Docx()
    reader.parser.Parse(xml, True)
    reader.flush()
    return reader.sections


def read_pdf(data: bytes, _: str | None = None) -> list[list[Any]]:
    """The text of a PDF, page by page; what is only a picture has none."""
    import pypdf

    document = pypdf.PdfReader(io.BytesIO(data), strict=False)
    if document.is_encrypted and not document.decrypt(""):
        raise Unreadable("it is encrypted")
    if len(document.pages) > MOST_PAGES:
        raise Unreadable(f"it has more than {MOST_PAGES} pages")
    sections: list[list[Any]] = []
    size = 0
    for number, page in enumerate(document.pages, 1):
        text = re.sub(r"[ \t]+", " ", page.extract_text() or "").strip()
        size += len(text)
        if size > MOST_CHARACTERS:
            raise Unreadable(f"it has more than {MOST_CHARACTERS} characters")
        if text:
            sections.append([[f"page {number}"], text])
    if not sections:
        raise Unreadable("it holds no text; a scan has to be recognised first")
    return sections


READERS = {"html": read_html, "csv": read_csv, "docx": read_docx, "pdf": read_pdf}
