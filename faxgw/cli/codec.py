"""``faxgw codec``: raw T.4, T.6 and T.85 octets from an image, and an image from them."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from faxgw.errors import RequestError
from t30.pages import Coding, Resolution
from t30.t4 import Bitmap, Decoded, coded, decoder, encode, usual_k
from t30.t4.tables import MAX_WIDTH

MAX_ROWS = 65_535
MAX_ROW_BITS = 65_535
"""More than a second of line time for one scan line: T.30 knows at most 40 ms."""

FINE_DPI = 150
"""Above it an image is taken to be at fine resolution; libtiff draws the same line."""

CHUNK = 1 << 16
"""Octets of input decoded at a time."""

_WITHOUT_FILL = (Coding.MMR, Coding.T85)


class CodingName(Enum):
    """How the codings are called on the command line."""

    MH = "mh"
    MR = "mr"
    MMR = "mmr"
    T85 = "t85"


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Code an image as raw T.4, T.6 or T.85 octets, or decode them.",
)

_CodingOption = Annotated[CodingName, typer.Option("--coding", help="MH or MR (T.4), MMR (T.6), T85 (JBIG).")]
_MsbOption = Annotated[
    bool,
    typer.Option(
        "--msb/--lsb",
        help="First bit sent = most significant bit, as in files, or least, as on a wire; T85 has one order only.",
    ),
]


@app.command("encode")
def encode_command(
    image: Annotated[Path, typer.Argument(metavar="IN", help="PBM, PNG or TIFF; grey and colour are thresholded.")],
    out: Annotated[Path, typer.Argument(metavar="OUT")],
    *,
    coding: _CodingOption,
    k: Annotated[
        int | None,
        typer.Option("--k", help="MR: every K-th row is coded by itself, 2 or 4; else 4 for a fine image, 2 below."),
    ] = None,
    min_row_bits: Annotated[
        int, typer.Option("--min-row-bits", help="MH, MR: fill rows up to this many bits, EOL included.")
    ] = 0,
    rtc: Annotated[bool, typer.Option("--rtc", help="MH, MR: end with RTC. MMR always ends with EOFB.")] = False,
    msb: _MsbOption = True,
) -> None:
    """Code an image, one row per scan line, pel for pel."""
    if k not in {None, 2, 4}:
        raise RequestError("usage", f"--k is 2 or 4, not {k}.")
    if not 0 <= min_row_bits <= MAX_ROW_BITS:
        raise RequestError("usage", f"--min-row-bits is 0 to {MAX_ROW_BITS}, not {min_row_bits}.")
    chosen = Coding[coding.name]
    if chosen in _WITHOUT_FILL and min_row_bits:
        raise RequestError("usage", f"{chosen} has no fill, so --min-row-bits goes with mh and mr only.")
    bitmap, resolution = _load(image)
    if chosen is Coding.T85:
        octets = coded(bitmap, chosen)
    else:
        ends = rtc or chosen is Coding.MMR
        octets = encode(
            bitmap, chosen, k=k or usual_k(resolution), min_row_bits=min_row_bits, end_of_page=ends, msb_first=msb
        )
    with _file_errors(out, "written"):
        out.write_bytes(octets)


@app.command("decode")
def decode_command(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    out: Annotated[Path, typer.Argument(metavar="OUT.pbm")],
    *,
    coding: _CodingOption,
    width: Annotated[int, typer.Option("--width", help=f"Pels per scan line, 1 to {MAX_WIDTH}.")],
    msb: _MsbOption = True,
    conceal: Annotated[
        bool,
        typer.Option("--conceal/--no-conceal", help="A damaged row shows the last good one above it, or is white."),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Decode a page; damage is listed, never an error."""
    if not 1 <= width <= MAX_WIDTH:
        raise RequestError("usage", f"--width is 1 to {MAX_WIDTH} pels, not {width}.")
    reader = decoder(Coding[coding.name], width, conceal=conceal, msb_first=msb)
    with _file_errors(source, "read"), source.open("rb") as octets:
        while not reader.page_ended and (chunk := octets.read(CHUNK)):
            reader.feed(chunk)
    page = reader.finish()
    with _file_errors(out, "written"):
        out.write_bytes(_pbm(page.bitmap))
    typer.echo(_report(page, as_json=as_json))


def _report(page: Decoded, *, as_json: bool) -> str:
    if as_json:
        runs = _runs(page.damaged)
        at = dict(zip(np.flatnonzero(page.damaged), page.damaged_at, strict=True))
        return json.dumps(
            {
                "rows": page.rows,
                "damaged_rows": page.bad_rows,
                "longest_damaged_run": page.longest_bad_run,
                "damage": [[int(start), int(end)] for start, end in runs],
                "damage_bits": [int(at[start]) for start, _ in runs],
            }
        )
    return f"{page.rows} rows, {page.bad_rows} damaged, at most {page.longest_bad_run} of them together"


def _runs(damaged: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first and the last of the damaged rows that follow each other, shape (R, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], damaged, [False])).astype(np.int8)))
    return edges.reshape(-1, 2) - (0, 1)


def _pbm(bitmap: Bitmap) -> bytes:
    return b"P4\n%d %d\n" % (bitmap.width, bitmap.rows) + np.packbits(bitmap.pels(), axis=1).tobytes()


def _load(path: Path) -> tuple[Bitmap, Resolution]:
    """Read an image as black and white pels, and tell whether it says that it is standard or fine (or finer)."""
    with _file_errors(path, "read"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=("PPM", "PNG", "TIFF")) as image:
                _check(path, image)
                fine = float(image.info.get("dpi", (0, 0))[1]) > FINE_DPI
                return Bitmap.from_pels(_pels(image)), Resolution.FINE if fine else Resolution.STANDARD
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise RequestError("document.too_large", f"{path}: the image has too many pels for a fax page.") from None
        except UnidentifiedImageError:
            raise RequestError("document.unreadable", f"{path} is not a PBM, PNG or TIFF image.") from None
        except (RequestError, OSError):
            raise
        # Pillow lets through whatever a broken header leads to: TypeError, KeyError, struct.error.
        except Exception as error:
            raise RequestError("document.damaged", f"{path} is damaged: {error}.") from None


def _check(path: Path, image: Image.Image) -> None:
    if image.width > MAX_WIDTH:
        raise RequestError(
            "document.too_large", f"{path} is {image.width} pels wide; a fax page has at most {MAX_WIDTH}."
        )
    if image.height > MAX_ROWS:
        raise RequestError("document.too_large", f"{path} has {image.height} rows; a fax page has at most {MAX_ROWS}.")
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        raise RequestError("usage", f"{path} has {pages} pages; this command codes files of one page.")


def _pels(image: Image.Image) -> NDArray[np.uint8]:
    """Threshold: the darker half of the scale is black; what is transparent shows white paper."""
    if image.mode == "1":
        return np.logical_not(np.asarray(image, np.bool_)).view(np.uint8)
    if image.mode.startswith("I"):
        grey = np.asarray(image, np.int32)
        return (grey < 1 << 15).view(np.uint8)  # 16-bit grey, which convert() would clip at 255
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image.convert("RGBA"))
        image = paper
    grey = np.asarray(image.convert("L"), np.uint8)
    return (grey < 1 << 7).view(np.uint8)


@contextmanager
def _file_errors(path: Path, done: str) -> Iterator[None]:
    """Turn what the file system or Pillow says of a file into a sentence."""
    try:
        yield
    except OSError as error:
        raise RequestError(
            "usage" if error.errno else "document.damaged", f"{path} cannot be {done}: {error.strerror or error}."
        ) from None
