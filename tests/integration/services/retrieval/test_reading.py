"""Files of every kind, and files that mean harm, read in the sandbox."""

import asyncio
import io
import os
import zipfile

import pytest

from codex32.kernel.contracts.collections import Document, IndexOrder, SearchOrder
from codex32.kernel.contracts.program import ProgramResult
from codex32.kernel.errors import StepFault
from codex32.services.retrieval import program, reading

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def docx(body, head="", name="word/document.xml"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        opened = f'<?xml version="1.0"?>{head}<w:document xmlns:w="{WORD}">'
        file.writestr(name, f"{opened}<w:body>{body}</w:body></w:document>")
    return packed.getvalue()


def paragraph(text, style=""):
    styled = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{styled}<w:r><w:t>{text}</w:t></w:r></w:p>"


def pdf(*pages):
    """A PDF as small as it can be, with a page for each text."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + at * 2} 0 R" for at in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for at, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R"
            f" >> >> /Contents {5 + at * 2} 0 R >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out, places = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    tail = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    return out + (head + tail).encode()


async def indexed(retrieval, caller, name, content, media=""):
    order = IndexOrder("docs", [Document(name, content=content, media_type=media)])
    return await retrieval.index(caller, order)


async def found(retrieval, caller, text):
    return (await retrieval.search(caller, SearchOrder("docs", text, limit=1)))[0]


async def test_a_folder_of_all_kinds_is_read(retrieval, caller, docs):
    (docs / "a.md").write_text("# Birds\n\nThe kestrel hovers.")
    (docs / "b.txt").write_bytes("Der Bussard kreist \u00fcber dem Feld.".encode("latin-1"))
    (docs / "c.html").write_text(
        "<html><head><title>t</title><style>b{}</style><script>heron()</script></head><body>"
        "<h1>Water</h1><p>The heron waits.</p><h2>Deep</h2><p>The osprey dives &amp; rises.</p>"
    )
    (docs / "d.csv").write_text("bird;food\nwren;spiders\nsiskin;seeds\n")
    (docs / "e.docx").write_bytes(
        docx(paragraph("Field", "Heading1") + paragraph("The lapwing calls."))
    )
    (docs / "f.pdf").write_bytes(pdf("The curlew flies.", "The plover runs."))
    report = await retrieval.index(caller, IndexOrder("docs", path=str(docs), scope="files"))
    assert report.failed == ()
    assert report.added == 6
    for word, source, heading in [
        ("kestrel", "a.md", "Birds"),
        ("\u00fcber", "b.txt", ""),
        ("osprey", "c.html", "Water > Deep"),
        ("siskin", "d.csv", "rows 1 to 2"),
        ("lapwing", "e.docx", "Field"),
        ("plover", "f.pdf", "page 2"),
    ]:
        best = await found(retrieval, caller, word)
        assert (best.source, best.heading) == (source, heading)
    assert "bird: siskin; food: seeds" in (await found(retrieval, caller, "siskin")).text
    assert "heron()" not in (await found(retrieval, caller, "heron")).text
    again = await retrieval.index(caller, IndexOrder("docs", path=str(docs), scope="files"))
    assert again.unchanged == 6


LAUGHS = "".join(
    f"<!ENTITY {name} '{f'&{before};' * 10}'>"
    for name, before in zip("bcdefghij", "abcdefghi", strict=True)
)
BOMB = f"<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'>{LAUGHS}]>"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        pytest.param("bomb.docx", docx("a" * (65 << 20)), "unpacks to more", id="zip-bomb"),
        pytest.param("laughs.docx", docx("<w:t>&j;</w:t>", BOMB), "document type", id="laughs"),
        pytest.param("deep.docx", docx("<a>" * 5000), "too deeply", id="deep"),
        pytest.param("none.docx", docx("", name="other.xml"), "no Word document", id="no-word"),
        pytest.param("torn.docx", docx(paragraph("x"))[:-40], "damaged", id="torn-zip"),
        pytest.param("torn.pdf", pdf("x")[:60], "damaged", id="torn-pdf"),
        pytest.param("empty.pdf", pdf(""), "no text", id="scan"),
        pytest.param("garbage.pdf", b"\x00\xff" * 5000, "damaged", id="garbage"),
    ],
)
async def test_a_file_that_means_harm_is_passed_over_and_the_others_are_read(
    retrieval, caller, name, content, told
):
    documents = [
        Document("good.html", content=b"<p>The kestrel hovers.</p>"),
        Document(name, content=content),
    ]
    report = await retrieval.index(caller, IndexOrder("docs", documents))
    ((source, why),) = report.failed
    assert source == name
    assert told in why
    assert report.added == 1
    assert (await found(retrieval, caller, "kestrel")).source == "good.html"


async def texts_of(retrieval, caller, content, name):
    await indexed(retrieval, caller, name, content)
    return (await found(retrieval, caller, "wren")).text


@pytest.mark.parametrize(
    ("content", "reads"),
    [
        ("wren \u201cquoted\u201d \u20ac".encode("cp1252"), "wren \u201cquoted\u201d \u20ac"),
        ("wren \u0436".encode("utf-32"), "wren \u0436"),
        ("wren \u0436".encode("utf-16"), "wren \u0436"),
        ("A wren, \u0436.".encode("utf-16-le"), "A wren, \u0436."),
        ("A wren, \u0436.".encode("utf-16-be"), "A wren, \u0436."),
        (
            b"a\0 wren sang at the pond of the meadow",
            "a\ufffd wren sang at the pond of the meadow",
        ),
    ],
)
async def test_a_text_is_read_as_it_was_written(retrieval, caller, content, reads):
    assert await texts_of(retrieval, caller, content, "a.txt") == reads


@pytest.mark.parametrize(
    ("charset", "media"),
    [("shift_jis", ""), ("windows-1251", ""), ("koi8-r", "text/html; charset=KOI8-R")],
)
async def test_a_page_is_read_as_it_or_its_server_says(retrieval, caller, charset, media):
    said = "" if media else f'<meta charset="{charset}">'
    page = f"<html><head>{said}</head><body><p>wren \u0436\u0437</p></body></html>"
    await indexed(retrieval, caller, "page.html", page.encode(charset), media)
    assert (await found(retrieval, caller, "wren")).text == "wren \u0436\u0437"


async def test_a_page_in_utf_16_without_its_mark_is_read(retrieval, caller):
    page = "<html><body><h1>Birds</h1><p>wren \u0436</p></body></html>"
    assert await texts_of(retrieval, caller, page.encode("utf-16-le"), "a.html") == "wren \u0436"


async def test_pages_and_papers_of_headings_alone_are_found(retrieval, caller):
    page = b"<h1>Birds</h1><h2>Wren nests</h2><h2></h2><h1>Plants"
    assert await texts_of(retrieval, caller, page, "a.html") == "Wren nests\n\nPlants"
    paper = docx(paragraph("Birds", "Heading1") + paragraph("Wren eggs", "Heading2"))
    assert await texts_of(retrieval, caller, paper, "a.docx") == "Wren eggs"


async def test_a_heading_that_nobody_closed_takes_nothing_of_what_follows(retrieval, caller):
    page = b"<h1>Birds<p>The wren sings.</p>"
    await indexed(retrieval, caller, "a.html", page)
    hit = await found(retrieval, caller, "wren")
    assert (hit.heading, hit.text) == ("Birds", "The wren sings.")


@pytest.mark.parametrize(
    ("content", "reads"),
    [
        ("bird\tsays\nwren\tit's a, b\njay\t'so', c\n", "bird: wren; says: it's a, b"),
        ('bird|says\nwren|\'tis 1,5\njay|"a | b"\n', "bird: wren; says: 'tis 1,5"),
        ("bird,says\rwren,sings\r", "bird: wren; says: sings"),
        ('bird;says\r\nwren;"a;\r\nb"\r\n', "bird: wren; says: a;\nb"),
        (f"bird,says\nwren,{'la ' * 50_000}\n", "bird: wren; says: la la"),
        ("bird\nwren\n", "bird: wren"),
    ],
)
async def test_tables_of_all_dialects_are_cut_at_their_columns(retrieval, caller, content, reads):
    assert (await texts_of(retrieval, caller, content.encode(), "a.csv")).startswith(reads)


async def test_a_file_that_kills_its_reader_kills_no_other(
    retrieval, caller, gateway, monkeypatch
):
    """The program is ended as a whole; its files are then read one by one."""
    monkeypatch.setattr(reading, "_PROGRAM_SECONDS", 3.0)
    cycle = pdf("x").replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]").replace(b"/Count 1", b"/Count 9")
    endless = b"<p>" + b"<b " * 400_000
    documents = [
        Document("good.html", content=b"<p>The kestrel hovers.</p>"),
        Document("cycle.pdf", content=cycle),
        Document("endless.html", content=endless),
    ]
    report = await retrieval.index(caller, IndexOrder("docs", documents))
    assert "cycle.pdf" in dict(report.failed)
    assert (await found(retrieval, caller, "kestrel")).source == "good.html"


async def test_what_was_known_of_a_file_stays_when_it_cannot_be_read_any_more(
    retrieval, caller, docs
):
    (docs / "a.docx").write_bytes(docx(paragraph("The kestrel hovers.")))
    order = IndexOrder("docs", path=str(docs), scope="files")
    await retrieval.index(caller, order)
    (docs / "a.docx").write_bytes(b"torn")
    report = await retrieval.index(caller, order)
    assert (report.removed, report.changed) == (0, 0)
    assert len(report.failed) == 1
    assert (await found(retrieval, caller, "kestrel")).source == "a.docx"


async def test_what_lies_in_a_folder_that_cannot_be_looked_into_stays(retrieval, caller, docs):
    # Whose path is longer than any that is opened cannot be looked into, whoever asks.
    inner, far = "i" * 200, docs
    while len(str(far)) < 3900:
        far = far / ("f" * min(200, 4000 - len(str(far))))
    (docs / inner).mkdir()
    (docs / inner / "a.md").write_text("The wren sings.")
    await retrieval.index(caller, IndexOrder("docs", path=str(docs), scope="files"))
    far.mkdir(parents=True)
    place = os.open(far, os.O_RDONLY)
    os.rename(docs / inner, inner, dst_dir_fd=place)
    report = await retrieval.index(caller, IndexOrder("docs", path=str(far), scope="files"))
    os.rename(inner, docs / inner, src_dir_fd=place)
    os.close(place)
    assert report.failed == ((inner, "it cannot be opened: File name too long"),)
    assert report.removed == 0
    assert (await found(retrieval, caller, "wren")).source == f"{inner}/a.md"


async def test_what_is_known_of_a_file_is_what_was_read_of_it(
    retrieval, caller, docs, monkeypatch
):
    """It is written anew while others are looked at, and then is as before."""
    (docs / "a.md").write_text("The wren sings.")
    (docs / "b.html").write_text("<p>The jay calls.</p>")
    order = IndexOrder("docs", path=str(docs), scope="files")
    read = reading.read

    async def late(*args):
        for name in ("a.md", "b.html"):
            await asyncio.to_thread((docs / name).write_text, "")
        return await read(*args)

    monkeypatch.setattr(reading, "read", late)
    await retrieval.index(caller, order)
    monkeypatch.undo()
    (docs / "a.md").write_text("The wren sings.")
    (docs / "b.html").write_text("<p>The jay calls.</p>")
    assert (await retrieval.index(caller, order)).changed == 2
    assert (await found(retrieval, caller, "wren")).source == "a.md"


async def test_a_file_that_goes_before_it_is_read_keeps_nobody_from_the_others(
    retrieval, caller, docs, monkeypatch
):
    for name in ("gone.html", "link.csv", "there.html"):
        (docs / name).write_text("<p>The wren sings.</p>")
    read = reading.read

    def change():
        (docs / "gone.html").unlink()
        (docs / "link.csv").unlink()
        (docs / "link.csv").symlink_to(docs / "there.html")

    async def late(*args):
        await asyncio.to_thread(change)
        return await read(*args)

    monkeypatch.setattr(reading, "read", late)
    report = await retrieval.index(caller, IndexOrder("docs", path=str(docs)))
    assert dict(report.failed).keys() == {"gone.html", "link.csv"}
    assert all("it cannot be opened" in why for _, why in report.failed)
    assert report.added == 1


async def test_larger_files_than_anybody_reads_are_passed_over(
    retrieval, caller, docs, monkeypatch
):
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    (docs / "large.md").write_text("x" * 101)
    report = await retrieval.index(caller, IndexOrder("docs", path=str(docs)))
    assert "larger than" in report.failed[0][1]


async def test_a_text_has_no_more_characters_than_a_document_of_another_kind(
    retrieval, caller, docs, monkeypatch
):
    monkeypatch.setattr(reading, "MOST_CHARACTERS", 100)
    (docs / "large.md").write_text("x" * 101)
    (docs / "small.md").write_text("x" * 100)
    report = await retrieval.index(caller, IndexOrder("docs", path=str(docs)))
    assert report.failed == (("large.md", "it has more than 100 characters"),)
    assert report.added == 1


async def test_without_a_sandbox_texts_are_read_and_nothing_that_needs_a_parser(
    retrieval, caller, monkeypatch
):
    async def refuse(program, host):
        return ProgramResult(error="no sandbox holds here", code="refused")

    monkeypatch.setattr(retrieval._programs, "run", refuse)
    await indexed(retrieval, caller, "a.md", b"The kestrel hovers.")
    with pytest.raises(StepFault, match="no sandbox holds here"):
        await indexed(retrieval, caller, "a.html", b"<p>The heron waits.</p>")


async def test_the_kind_of_what_was_fetched_is_told_by_its_server(retrieval, caller):
    page = b"<html><script>x()</script><h1>Birds</h1><p>The kestrel hovers.</p>"
    url = "https://example.com/birds"
    await indexed(retrieval, caller, url, page, "text/html; charset=utf-8")
    assert (await found(retrieval, caller, "kestrel")).heading == "Birds"
    report = await indexed(retrieval, caller, url + "/x", b"\x00", "image/png")
    assert report.failed == ((url + "/x", "image/png cannot be read"),)


async def test_no_text_holds_what_a_database_does_not_keep(retrieval, caller):
    await indexed(retrieval, caller, "a.txt", b"The kestrel\x00 hovers.")
    assert "\x00" not in (await found(retrieval, caller, "kestrel")).text


@pytest.mark.parametrize(
    ("source", "metadata", "told"),
    [
        pytest.param("a.md", {"place": "x\x00"}, "NUL in its metadata", id="nul"),
        pytest.param("a.md", {"place": "\ud800"}, "half a character", id="surrogate"),
        pytest.param("a.md", {"place": "x" * 40_000}, "at most 32768 fit", id="long"),
        pytest.param("a.md", {f"k{at}": at for at in range(600)}, "more than 512", id="many"),
        pytest.param("a" * 3000, {}, "1 to 2000 bytes", id="name"),
        pytest.param("a\x00", {}, "1 to 2000 bytes", id="name-with-nul"),
    ],
)
async def test_what_no_store_takes_holds_up_no_other_document(
    retrieval, caller, source, metadata, told
):
    documents = [Document(source, "The heron waits.", metadata=metadata)]
    report = await retrieval.index(caller, IndexOrder("docs", documents))
    ((_, why),) = report.failed
    assert told in why
    await indexed(retrieval, caller, "good.md", b"The kestrel hovers.")
    assert (await retrieval.verify("default", "docs")).sound


def test_the_program_is_its_own_and_imports_nothing_of_the_house(database_url):
    from pathlib import Path

    text = Path(program.__file__).read_text()
    assert "codex32" not in text
