"""Cover pages: the built-in one and templates, what they say and what they cannot."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pypdfium2 as pdfium
import pytest

from faxgw.documents.cover import STANDARD, Cover, CoverFields, CoverTemplate
from faxgw.documents.document import RenderOptions, open_document
from faxgw.documents.parts import Upload
from faxgw.documents.renderer import Renderer, WorkerLimits
from faxgw.errors import RequestError
from tests.faxgw.documents.making import bounds, limits

FIELDS = CoverFields(
    to_name="Jane Hartmann",
    to_number="+1 555 0100",
    from_name="Inés Okonkwo",
    from_number="+49 30 1234567",
    company="Northgate Pumps & Valves",
    subject="Offer 26-1187",
    message="Dear Ms Hartmann,\n\nplease find our offer: 1.480 €.\n",
    date="22 November 2026",
    pages=4,
    more={"reference": "NP/4471-B"},
)


def words(cover: Cover) -> str:
    """Return what the cover page says, spaces as one."""
    with Renderer() as renderer:
        part = renderer.readable(cover)
    assert isinstance(part, Upload)
    if not part.octets.startswith(b"%PDF"):
        return " ".join(part.octets.decode().split())
    pdf = pdfium.PdfDocument(part.octets)
    page = pdf[0]
    text = page.get_textpage()
    said = text.get_text_bounded()
    for opened in (text, page, pdf):
        opened.close()
    return " ".join(said.split())


def refusal(cover: Cover, *, limits: WorkerLimits | None = None) -> RequestError:
    with (
        pytest.raises(RequestError) as refused,
        open_document([cover], RenderOptions(limits=limits or WorkerLimits())),
    ):
        pass
    assert refused.value.reason.endswith(".")
    assert "\n" not in refused.value.reason
    return refused.value


def text(source: str) -> CoverTemplate:
    return CoverTemplate("text", source)


def test_the_standard_cover_says_who_writes_to_whom_about_what() -> None:
    said = words(Cover(FIELDS))
    for value in (
        *("Jane Hartmann", "+1 555 0100", "Inés Okonkwo", "+49 30 1234567", "Northgate Pumps & Valves"),
        *("Offer 26-1187", "please find our offer: 1.480 €.", "22 November 2026", "4, this one included"),
    ):
        assert value in said


def test_the_standard_cover_is_one_a4_page_within_its_margins() -> None:
    with open_document([Cover(FIELDS), Upload("a.txt", b"x")]) as document:
        assert len(document) == 2
        bitmap = document.bitmap(0, document.layout(0, limits()))
    top, bottom, left, right = bounds(bitmap)
    assert bitmap.rows == 2287
    assert top > 100
    assert bottom < 2200
    assert left > 150
    assert right < 1580


def test_long_names_subjects_and_messages_stay_on_the_page_and_apart() -> None:
    long = replace(
        FIELDS,
        to_name="Hartmann Dairy Limited Partnership of the Eastern Counties, Purchasing",
        company="W" * 80,
        subject="overhaul " * 20,
        message="word " * 300 + "x" * 200,
    )
    with open_document([Cover(long)]) as document:
        bitmap = document.bitmap(0, document.layout(0, limits()))
    _, _, left, right = bounds(bitmap)
    assert left > 150
    assert right < 1600
    assert "Hartmann Dairy Limited" in words(Cover(long))


def test_a_cover_without_anything_is_still_a_cover() -> None:
    assert words(Cover(CoverFields())) == "Fax"


def test_a_message_that_does_not_fit_is_refused() -> None:
    refused = refusal(Cover(replace(FIELDS, message="line\n" * 60)))
    assert (refused.code, "too long for the cover page" in refused.reason) == ("document.cover", True)


@pytest.mark.parametrize(
    ("field", "fields"), [("to_name", CoverFields(to_name="Ирина")), ("message", CoverFields(message="An Ирина"))]
)
def test_characters_that_the_font_has_not_are_refused_by_field(field: str, fields: CoverFields) -> None:
    refused = refusal(Cover(fields))
    assert refused.code == "document.characters"
    assert f"The field {field} of the cover page has the character 'И'" in refused.reason


def test_a_text_template_is_filled_in() -> None:
    source = "To {{ to_name }} ({{ reference }})\n{% if pages > 1 %}{{ pages }} pages{% endif %}\n{{ message|upper }}"
    assert words(Cover(FIELDS, text(source))) == (
        "To Jane Hartmann (NP/4471-B) 4 pages DEAR MS HARTMANN, PLEASE FIND OUR OFFER: 1.480 €."
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ nobody }}", "'nobody' is undefined; the fields are company, date, from_name"),
        ("a\n{% if %}", "line 2: Expected an expression"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ to_name.__class__.__mro__ }}", "access to attribute '__class__'"),
        ("{% include '/etc/passwd' %}", "no loader for this environment"),
        ("{{ 'x' * 5000000 }}", "more than 4 million characters"),
        ("x" * 200_001, "more than 200,000 characters"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused(source: str, reason: str) -> None:
    refused = refusal(Cover(FIELDS, text(source)))
    assert (refused.code, reason in refused.reason) == ("document.cover", True), refused.reason


def test_a_field_that_is_too_long_is_refused() -> None:
    refused = refusal(Cover(replace(FIELDS, subject="x" * 10_001)))
    assert (refused.code, "field subject" in refused.reason) == ("document.cover", True)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set a = 'x' * 1000000 %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    ],
    ids=["time", "memory"],
)
def test_a_hostile_template_ends_with_its_worker(source: str) -> None:
    began = time.monotonic()
    refused = refusal(Cover(FIELDS, text(source)), limits=WorkerLimits(seconds=1, memory=256 << 20))
    assert refused.code in {"document.timeout", "document.too_large"}
    assert time.monotonic() - began < 5


@pytest.mark.interop
def test_an_html_template_is_filled_in_and_what_it_is_filled_with_stays_text(peer: Callable[[str], Path]) -> None:
    peer("soffice")
    peer("bwrap")
    template = CoverTemplate("html", "<h1>{{ subject }}</h1><p>{{ message.splitlines() | join('<br>'|safe) }}</p>")
    fields = replace(FIELDS, subject="<b>Ирина & Söhne</b>")
    said = words(Cover(fields, template))
    assert "<b>Ирина & Söhne</b>" in said
    assert "Dear Ms Hartmann," in said
    assert "<br>" not in said
    with open_document([Cover(fields, template)]) as document:
        assert document.bitmap(0, document.layout(0, limits())).rows == 2287


def test_the_same_fields_give_the_same_page() -> None:
    with open_document([Cover(FIELDS, STANDARD), Cover(FIELDS)]) as document:
        first, second = (document.bitmap(page, document.layout(page, limits())) for page in (0, 1))
    assert first == second
