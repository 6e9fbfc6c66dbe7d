"""Documents as they are found: files below a folder, and what was handed over.

Text and Markdown are decoded here. Everything that needs a parser is read by ``program.py`` in
the sandbox that runs Python steps: a file that somebody else wrote never meets a parser in a
process of the house, and where no sandbox holds, such files are refused like Python steps.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib.util
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path, PurePosixPath

from codex32.kernel.contracts.collections import Document
from codex32.kernel.contracts.program import FileGrant, Program, ProgramHost, ProgramRunner
from codex32.kernel.errors import StepFault
from codex32.kernel.json_values import JSON
from codex32.kernel.vector_checks import check_metadata
from codex32.kernel.vector_errors import RecordInvalid
from codex32.services.retrieval.program import MOST_CHARACTERS, decoded
from codex32.services.retrieval.sections import Section, from_program, markdown, plain
from codex32.services.retrieval.unlinked import bytes_of, granted, why_closed

#: Larger files are not read.
MAX_BYTES = 50 * 1024 * 1024
MAX_FILES = 20_000
#: Of a document's name, as much as the index of every database takes.
SOURCE_BYTES = 2000
_PROGRAM_SECONDS = 120.0
_PROGRAM_BYTES = 1024 * 1024 * 1024
#: How many bytes of files are read by one program, so that few programs are started.
_TOGETHER_BYTES = 8 * 1024 * 1024

_TEXT = {"md": "markdown", "markdown": "markdown", "txt": "text", "text": "text", "rst": "text",
         "log": "text", "json": "text", "yaml": "text", "yml": "text"}  # fmt: skip
_PARSED = {"html": "html", "htm": "html", "xhtml": "html", "csv": "csv", "tsv": "csv",
           "docx": "docx", "pdf": "pdf"}  # fmt: skip
KINDS: Mapping[str, str] = {**_TEXT, **_PARSED}
_CHARSET = re.compile(r"(?i);\s*charset\s*=\s*\"?([a-z0-9_.:-]{1,40})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MEDIA = {
    "text/markdown": "markdown",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/csv": "csv",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
}


@dataclass(frozen=True, slots=True)
class Item:
    """A document before it is read.

    Attributes:
      kind: How it is read: ``markdown text html csv docx pdf``.
      digest: SHA-256 of the bytes and of the metadata.
      path: Where its bytes are, unless they are in ``content``.
      charset: How its text is written, as whoever handed it over says.
    """

    source: str
    kind: str
    digest: str
    path: str | None = None
    content: bytes | None = None
    size: int = 0
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a document says, and the digest of what was read: its file may have changed."""

    sections: list[Section]
    digest: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A document that cannot be read, and why."""

    source: str
    why: str


def handed(document: Document) -> Item | Refused:
    """A document that was handed over."""
    content = document.content
    if content is None:
        content = (document.text or "").encode(errors="replace")
    kind = _kind(document)
    if kind is None:
        return Refused(document.source, f"{document.media_type or 'its kind'} cannot be read")
    metadata = {**document.metadata, "source": document.source}
    if len(content) > MAX_BYTES:
        return Refused(document.source, _too_large())
    # Once its rows are there, what no store takes would hold up all that comes after it.
    try:
        _check_source(document.source)
        check_metadata(metadata, "it")
    except RecordInvalid as fault:
        return Refused(clean(document.source), str(fault))
    digest = _digest(hashlib.sha256(content).hexdigest(), kind, metadata)
    charset = _CHARSET.search(document.media_type)
    return Item(
        document.source,
        kind,
        digest,
        None,
        content,
        len(content),
        metadata,
        charset and charset[1],
    )


def _check_source(source: str) -> None:
    if "\0" in source or len(source.encode(errors="replace")) > SOURCE_BYTES or not source:
        raise RecordInvalid(f"a document is named in 1 to {SOURCE_BYTES} bytes without NUL")


def _kind(document: Document) -> str | None:
    media = document.media_type.partition(";")[0].strip().lower()
    if media in _MEDIA:
        return _MEDIA[media]
    suffix = PurePosixPath(document.source.partition("?")[0]).suffix.lower().lstrip(".")
    if not media and document.text is None:
        return KINDS.get(suffix)
    if not media:
        return _TEXT.get(suffix, "markdown")
    return _TEXT.get(suffix, "text") if media.startswith("text/") else KINDS.get(suffix)


def found(
    path: str, include: Sequence[str], grants: Sequence[FileGrant] | None
) -> Iterator[Item | Refused]:
    """The files of a path, in order; it reads them all, so it belongs on a thread.

    Args:
      path: A file or a folder; absolute.
      include: Patterns of names below the folder.
      grants: What may be read; None where nothing limits it.

    Raises:
      CapabilityRefused: The path is not among the grants.
      StepFault: There is nothing there.
    """
    root = Path(path)
    if not root.is_absolute():
        raise StepFault(f"path must be absolute, not {path!r}", code="path")
    real = root.resolve() if grants is None else granted(root, (each.path for each in grants))
    if not real.exists():
        raise StepFault(f"there is no file and no folder {path}", code="path")
    for count, file in enumerate(_walk(real, include)):
        if count == MAX_FILES:
            raise StepFault(f"{path} holds more than {MAX_FILES} files", code="path")
        yield file if isinstance(file, Refused) else _item(file, real)


def _walk(root: Path, include: Sequence[str]) -> Iterator[Path | Refused]:
    """The files below a folder, and the folders that cannot be looked into."""
    if root.is_file():
        yield root
        return
    closed: list[OSError] = []
    for folder, folders, names in os.walk(root, onerror=closed.append):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for file in (Path(folder, name) for name in sorted(names) if not name.startswith(".")):
            name = file.relative_to(root).as_posix()
            wanted = not include or any(_fits(name, each) for each in include)
            if wanted and file.suffix.lower().lstrip(".") in KINDS and _may_be_file(file):
                yield file
    for error in closed:
        where = Path(error.filename)
        if where == root:
            raise StepFault(f"{root} cannot be opened: {error.strerror}", code="path")
        if not isinstance(error, FileNotFoundError):
            yield Refused(_named(where, root), _not_opened(error.strerror))


def _may_be_file(file: Path) -> bool:
    # A link may lead anywhere; what it leads to can be named itself.
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # whoever opens it will be told why that cannot be


def _fits(name: str, pattern: str) -> bool:
    # Before Python 3.13, ``**`` is one folder here, and never none.
    return fnmatch(name, pattern) or PurePosixPath(name).match(pattern.removeprefix("**/"))


def _named(file: Path, root: Path) -> str:
    name = file.name if file == root else file.relative_to(root).as_posix()
    return name.encode(errors="replace").decode()


def _item(file: Path, root: Path) -> Item | Refused:
    source = _named(file, root)
    kind = KINDS[file.suffix.lower().lstrip(".")] if file.suffix else "text"
    try:
        _check_source(source)
        size = file.stat().st_size
        if size > MAX_BYTES:
            return Refused(source, _too_large())
        content = bytes_of(file)
    except RecordInvalid as fault:
        return Refused(source, str(fault))
    except OSError as error:
        return Refused(source, _not_opened(error.strerror))
    metadata = {"source": source}
    digest = _digest(hashlib.sha256(content).hexdigest(), kind, metadata)
    return Item(source, kind, digest, str(file), None, size, metadata)


def _digest(content: str, kind: str, metadata: Mapping[str, JSON]) -> str:
    told = repr((kind, sorted(metadata.items()))).encode(errors="replace")
    return hashlib.sha256(bytes.fromhex(content) + told).hexdigest()


def _too_large() -> str:
    return f"it is larger than {MAX_BYTES >> 20} MiB"


async def read(
    items: Sequence[Item], programs: ProgramRunner, owner: str
) -> list[Parsed | Refused]:
    """What the documents say, in the order of ``items``."""
    texts = {
        at: await asyncio.to_thread(_read_text, item)
        for at, item in enumerate(items)
        if item.kind in ("markdown", "text")
    }
    parsed = [at for at in range(len(items)) if at not in texts]
    for group in _groups(parsed, items):
        found = await _parse([items[at] for at in group], programs, owner)
        texts.update(zip(group, found, strict=True))
    return [texts[at] for at in range(len(items))]


def _read_text(item: Item) -> Parsed | Refused:
    try:
        data = bytes_of(Path(item.path)) if item.path else item.content or b""
    except OSError as error:
        return Refused(item.source, _not_opened(error.strerror))
    text = decoded(data, item.charset)
    if len(text) > MOST_CHARACTERS:
        return Refused(item.source, f"it has more than {MOST_CHARACTERS} characters")
    text = clean(text)
    sections = markdown(text) if item.kind == "markdown" else plain(text)
    return _parsed(item, sections, hashlib.sha256(data).hexdigest())


def _parsed(item: Item, sections: list[Section], content: str) -> Parsed:
    return Parsed(sections, _digest(content, item.kind, item.metadata))


def clean(text: str) -> str:
    """Without what no database keeps."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def _groups(places: Sequence[int], items: Sequence[Item]) -> Iterator[list[int]]:
    group: list[int] = []
    size = 0
    for at in places:
        if group and size + items[at].size > _TOGETHER_BYTES:
            yield group
            group, size = [], 0
        group.append(at)
        size += items[at].size
    if group:
        yield group


async def _parse(
    items: Sequence[Item], programs: ProgramRunner, owner: str
) -> list[Parsed | Refused]:
    program = await asyncio.to_thread(_program, items, owner)
    result = await programs.run(program, ProgramHost(lambda stream, line: None))
    if result.error is None and isinstance(result.output, list):
        answers = zip(items, result.output, strict=True)
        return [_sections(item, answer) for item, answer in answers]
    if result.code == "refused":
        closed = await asyncio.to_thread(_closed, items)
        if not any(closed):
            raise StepFault(f"documents cannot be read: {result.error}", code="documents")
        # A folder lives: what is gone by now, or is a link, keeps nobody from the others.
        left = [item for item, why in zip(items, closed, strict=True) if why is None]
        read = iter(await _parse(left, programs, owner) if left else ())
        return [
            next(read) if why is None else Refused(item.source, _not_opened(why))
            for item, why in zip(items, closed, strict=True)
        ]
    if len(items) == 1:
        return [Refused(items[0].source, f"it could not be read: {result.error}")]
    # One of them broke the program; by themselves, the others are read.
    return [(await _parse([item], programs, owner))[0] for item in items]


def _closed(items: Sequence[Item]) -> list[str | None]:
    """Of each file why it cannot be opened, if so."""
    return [why_closed(Path(item.path)) if item.path else None for item in items]


def _not_opened(why: str | None) -> str:
    return f"it cannot be opened: {why}"


def _sections(item: Item, answer: JSON) -> Parsed | Refused:
    match answer:
        case {"sections": list(sections), "sha256": str(content)} if _SHA256.fullmatch(content):
            made = from_program(sections)
            joins = item.kind in ("html", "docx")
            cleaned = [
                Section(tuple(map(clean, each.heading)), clean(each.text), joins) for each in made
            ]
            return _parsed(item, cleaned, content)
        case {"error": str(why)}:
            return Refused(item.source, clean(why))
    return Refused(item.source, "it could not be read")


def _program(items: Sequence[Item], owner: str) -> Program:
    libraries = [] if all(item.kind != "pdf" for item in items) else [_pypdf()]
    grants = [FileGrant(item.path) for item in items if item.path]
    return Program(
        code=(files("codex32.services.retrieval") / "program.py").read_text(),
        args={"files": [_told(item) for item in items], "libraries": libraries},
        file="<documents>",
        timeout_seconds=_PROGRAM_SECONDS,
        memory_bytes=_PROGRAM_BYTES,
        owner=owner,
        files=(*grants, *(FileGrant(f"{each}/pypdf") for each in libraries)),
    )


def _told(item: Item) -> dict[str, JSON]:
    if item.path:
        return {"kind": item.kind, "path": item.path}
    data = base64.b64encode(item.content or b"").decode()
    return {"kind": item.kind, "data": data, "charset": item.charset}


def _pypdf() -> str:
    spec = importlib.util.find_spec("pypdf")
    if spec is None or spec.origin is None:
        raise StepFault("PDFs need pypdf: pip install 'codex32[documents]'", code="documents")
    return str(Path(spec.origin).parents[1])
