"""A real-looking document of three pages for the demo and tests: a letter, a form with a drawing, a grey picture."""

import math
from pathlib import Path

import numpy as np
import pikepdf
from numpy.typing import NDArray

ACROSS, DOWN = 595, 842
"""A4 in points."""

LETTER = """\
Dear Ms Hartmann,

Thank you for your enquiry of 12 November. Please find our offer for the
overhaul of the two dosing pumps on the pages that follow: the order form
with the drawing of the flange on page 2, and the photograph that our
fitter took of the site on page 3.

Both pumps can be collected on any working day before noon. The work takes
nine working days; spare parts are in stock but for the ceramic valve seat
(part 4471-B), which our supplier has promised for the end of the month.
We grant a warranty of 24 months on all parts that we replace.

Prices are net, excluding value added tax, and hold until 31 January. To
place the order, please sign page 2 and return it to the number above. A
reading copy goes by post, but the fax is what counts for the deadline.

If anything in the drawing does not match what you have on site, call us
before signing: a wrong flange costs a week, a telephone call two minutes.

With kind regards



Ines Okonkwo
Service department"""

ROWS = (
    ("Pos.", "Part", "Description", "Qty", "Net EUR"),
    ("1", "2210-A", "Overhaul of dosing pump, type DP 40", "2", "1,480.00"),
    ("2", "4471-B", "Ceramic valve seat", "4", "312.00"),
    ("3", "1093", "Set of seals, FKM", "2", "96.50"),
    ("4", "8005", "Flange DN 50, as drawn below", "2", "154.00"),
    ("5", "-", "Collection and return", "1", "85.00"),
    ("", "", "Total", "", "2,127.50"),
)
COLUMNS = (60, 100, 160, 400, 440)
"""Points from the left edge."""

PICTURE = (600, 420)
"""Pels across and down."""


def write_sample(path: Path) -> None:
    """Write the document as a PDF; the same octets every time."""
    pdf = pikepdf.new()
    fonts = pikepdf.Dictionary(
        {
            f"/{key}": pdf.make_indirect(
                pikepdf.Dictionary(
                    Type=pikepdf.Name.Font,
                    Subtype=pikepdf.Name.Type1,
                    BaseFont=pikepdf.Name(f"/{name}"),
                    Encoding=pikepdf.Name.WinAnsiEncoding,
                )
            )
            for key, name in (("R", "Helvetica"), ("B", "Helvetica-Bold"), ("T", "Times-Roman"))
        }
    )
    picture = pdf.make_stream(
        _landscape().tobytes(),
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Image,
        Width=PICTURE[0],
        Height=PICTURE[1],
        ColorSpace=pikepdf.Name.DeviceGray,
        BitsPerComponent=8,
    )
    resources = pikepdf.Dictionary(Font=fonts, XObject=pikepdf.Dictionary(P=picture))
    for content in (_letter(), _form(), _photograph()):
        page = pikepdf.Dictionary(
            Type=pikepdf.Name.Page,
            MediaBox=[0, 0, ACROSS, DOWN],
            Contents=pdf.make_stream(content.encode("cp1252")),
            Resources=resources,
        )
        pdf.pages.append(pikepdf.Page(page))
    pdf.save(path, deterministic_id=True)


def _letter() -> str:
    lines = [
        _text(60, 780, 22, "Northgate Pumps & Valves", font="B"),
        _text(60, 762, 9, "14 Tannery Lane, Northgate    Tel +1 555 0100    Fax +1 555 0101"),
        "1.5 w 60 752 m 535 752 l S",
        _text(60, 700, 11, "Hartmann Dairy Ltd"),
        _text(60, 686, 11, "Purchasing, attn. Ms J. Hartmann"),
        _text(60, 672, 11, "3 Mill Road, Eastham"),
        _text(420, 640, 11, "22 November 2026"),
        _text(60, 606, 12, "Offer 26-1187: overhaul of two dosing pumps", font="B"),
    ]
    lines += [_text(60, 576 - 15 * row, 11.5, line, font="T") for row, line in enumerate(LETTER.split("\n"))]
    lines += [_signature(60, 262), "0.25 w 60 90 m 535 90 l S", _text(60, 78, 7.5, "Registered in Northgate no. 20417")]
    return "\n".join(lines)


def _form() -> str:
    top, step = 740, 24
    bottom = top - step * len(ROWS)
    lines = [
        _text(60, 780, 16, "Order form for offer 26-1187", font="B"),
        f"0.88 g 50 {top - step} 495 {step} re f 0 g",
    ]
    for row, cells in enumerate(ROWS):
        base = top - step * row - 16
        bold = row in (0, len(ROWS) - 1)
        lines += [_text(x, base, 10, cell, font="B" if bold else "R") for x, cell in zip(COLUMNS, cells, strict=True)]
        lines.append(f"0.5 w 50 {top - step * row} m 545 {top - step * row} l S")
    lines.append(f"1.5 w 50 {bottom} 495 {step * len(ROWS)} re S 0.5 w")
    lines += [f"{x - 6} {bottom} m {x - 6} {top} l S" for x in COLUMNS[1:]]
    lines += [_flange(200, 380), _text(60, 210, 11, "We order the above:")]
    for x, label in ((60, "Place, date"), (310, "Signature")):
        lines += [f"0.5 w {x} 150 m {x + 220} 150 l S", _text(x, 138, 8, label)]
    lines += ["0.8 w 60 180 9 9 re S", _text(76, 181, 10, "Collection on a working day before noon")]
    return "\n".join(lines)


def _photograph() -> str:
    return "\n".join(
        [
            _text(60, 780, 16, "Site at Mill Road, seen from the north", font="B"),
            "q 475 0 0 332.5 60 420 cm /P Do Q",
            "0.5 w 60 420 475 332.5 re S",
            _text(60, 404, 9, "Photograph of 9 November. The pump house is behind the two hills on the left."),
            _text(60, 370, 11, "The access road carries vehicles up to 7.5 t. Please keep the gate shut."),
        ]
    )


def _text(x: float, y: float, size: float, text: str, font: str = "R") -> str:
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /{font} {size} Tf {x} {y} Td ({escaped}) Tj ET"


def _circle(x: float, y: float, radius: float) -> str:
    """Draw a circle in four Bezier curves."""
    pull = radius * 0.5523
    r = radius
    return (
        f"{x + r} {y} m {x + r} {y + pull} {x + pull} {y + r} {x} {y + r} c "
        f"{x - pull} {y + r} {x - r} {y + pull} {x - r} {y} c "
        f"{x - r} {y - pull} {x - pull} {y - r} {x} {y - r} c "
        f"{x + pull} {y - r} {x + r} {y - pull} {x + r} {y} c S"
    )


def _flange(x: float, y: float) -> str:
    """Draw the flange from above and in section, with its measures."""
    holes = [_circle(x + 75 * math.cos(turn), y + 75 * math.sin(turn), 8) for turn in np.arange(8) * math.pi / 4]
    centre = f"[8 3 2 3] 0 d 0.3 w {x - 120} {y} m {x + 330} {y} l S {x} {y - 115} m {x} {y + 115} l S [] 0 d"
    section = f"1.2 w {x + 220} {y - 100} 30 200 re S {x + 250} {y - 55} 45 110 re S"
    hatching = " ".join(f"{x + 220} {y + at} m {x + 250} {y + at + 30} l" for at in range(-100, 71, 10))
    measure = f"0.4 w {x - 100} {y - 122} m {x + 100} {y - 122} l S"
    label = _text(x - 18, y - 133, 9, "Ø 165 mm")
    rings = [f"1.2 w {_circle(x, y, 100)} {_circle(x, y, 45)}", f"0.4 w {_circle(x, y, 75)} 1.2 w"]
    return "\n".join([*rings, *holes, centre, section, f"0.4 w {hatching} S", measure, label])


def _signature(x: float, y: float) -> str:
    """Write a name by hand, more or less."""
    strokes = [
        f"{x + at} {y + 14 * math.sin(at / 3.1):.1f} {x + at + 5} {y - 11 * math.cos(at / 5.7):.1f} "
        f"{x + at + 9} {y + 6 * math.sin(at / 2.3):.1f} c"
        for at in range(4, 110, 9)
    ]
    return f"q 1.1 w 1 J {x} {y} m {' '.join(strokes)} S Q"


def _landscape() -> NDArray[np.uint8]:
    """Make a grey picture with a sky, a sun, hills, a lake and grain: every tone from black to white."""
    across, down = PICTURE
    y, x = np.mgrid[0:down, 0:across] / 420.0
    grey = 150 + 95 * y - 25 * np.sin(9 * x + 4 * y) * np.exp(-3 * y)
    grey = np.where((x - 1.05) ** 2 + (y - 0.2) ** 2 < 0.005, 255, grey)
    for number, (height, tone) in enumerate(((0.42, 150), (0.52, 110), (0.62, 65))):
        ridge = height + 0.05 * np.sin((5 + 2 * number) * x + number) + 0.02 * np.sin(23 * x + 3 * number)
        grey = np.where(y > ridge, tone + 60 * (y - ridge) + 8 * np.sin(70 * x) * np.sin(60 * y), grey)
    ripples = 175 + 50 * np.sin(160 * (y - 0.75) / (0.3 + y)) * np.cos(6 * x)
    grey = np.where(y > 0.78, ripples - 90 * np.abs(x - 1.05), grey)
    grain = np.random.default_rng(1988).normal(0, 4, grey.shape)
    tones: NDArray[np.uint8] = (grey + grain).clip(0, 255).astype(np.uint8)
    return tones
