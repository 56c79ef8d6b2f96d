"""``faxgw codec``: what it writes, what it reads, and what it says of files that are no fax page."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from faxgw.cli.codec import app
from faxgw.errors import RequestError
from t30.pages import Coding
from t30.t4 import Bitmap, encode

STRIPS = [18_103, 10_803, 28_706, 69_275, 32_222, 16_651, 69_282, 19_099]
PELS = (np.random.default_rng(2).random((40, 100)) < 0.2).view(np.uint8)
BITMAP = Bitmap.from_pels(PELS)


def codec(*arguments: object) -> str:
    """Run a command that succeeds and return what it prints; a user's mistake comes out as it is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, RequestError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.pbm"
    path.write_bytes(b"P4\n100 40\n" + np.packbits(PELS, axis=1).tobytes())
    return path


def test_charts_become_the_strips_that_libtiff_wrote(charts: Path, tmp_path: Path) -> None:
    for number, length in enumerate(STRIPS, 1):
        chart, out, back = charts / f"itu{number}.tif", tmp_path / "page.g4", tmp_path / "page.pbm"
        codec("encode", "--coding", "mmr", chart, out)
        strip = out.read_bytes()
        assert len(strip) == length
        assert strip in chart.read_bytes()
        said = json.loads(codec("decode", "--coding", "mmr", "--width", 1728, "--json", out, back))
        assert said == {"rows": 2376, "damaged_rows": 0, "longest_damaged_run": 0, "damage": [], "damage_bits": []}
        with Image.open(chart) as theirs, Image.open(back) as ours:
            assert np.array_equal(np.asarray(theirs, np.bool_), np.asarray(ours, np.bool_))


@pytest.mark.parametrize("order", ["--msb", "--lsb"])
@pytest.mark.parametrize("coding", ["mh", "mr", "mmr"])
def test_a_page_comes_back_as_it_was(page: Path, tmp_path: Path, coding: str, order: str) -> None:
    out, back = tmp_path / "page.fax", tmp_path / "back.pbm"
    codec("encode", "--coding", coding, order, page, out)
    codec("decode", "--coding", coding, order, "--width", 100, out, back)
    assert back.read_bytes() == page.read_bytes()


def test_bits_go_first_into_the_high_end_of_octets_unless_told_otherwise(page: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.fax"
    wire = encode(BITMAP, Coding.MH, end_of_page=False)
    codec("encode", "--coding", "mh", "--lsb", page, out)
    assert out.read_bytes() == wire
    codec("encode", "--coding", "mh", page, out)
    assert out.read_bytes() == bytes(int(f"{octet:08b}"[::-1], 2) for octet in wire)
    assert f"{int.from_bytes(out.read_bytes()[:2]):016b}".startswith("000000000001")


def test_rtc_fill_and_k_are_as_asked(page: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.fax"
    codec("encode", "--coding", "mr", "--k", 4, "--min-row-bits", 300, "--rtc", "--lsb", page, out)
    assert out.read_bytes() == encode(BITMAP, Coding.MR, k=4, min_row_bits=300)


@pytest.mark.parametrize(("tags", "k"), [({"dpi": (204, 98)}, 2), ({"dpi": (204, 196)}, 4), ({}, 2)])
def test_k_follows_the_resolution_of_the_image(tmp_path: Path, tags: dict[str, Any], k: int) -> None:
    image, out = tmp_path / "page.png", tmp_path / "page.fax"
    Image.fromarray(PELS == 0).save(image, **tags)
    codec("encode", "--coding", "mr", "--lsb", image, out)
    assert out.read_bytes() == encode(BITMAP, Coding.MR, k=k, end_of_page=False)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "LA", "RGBA", "I;16"])
def test_black_is_black_in_every_kind_of_image(tmp_path: Path, mode: str) -> None:
    out = tmp_path / "page.fax"
    grey = np.where(PELS, 90, 200).astype(np.uint8)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 256)
    else:
        image = Image.fromarray(PELS == 0) if mode == "1" else Image.fromarray(grey).convert(mode)
    for suffix in ("png", "tif"):
        image.save(tmp_path / f"page.{suffix}")
        codec("encode", "--coding", "mmr", "--lsb", tmp_path / f"page.{suffix}", out)
        assert out.read_bytes() == encode(BITMAP, Coding.MMR)


def test_what_is_transparent_is_paper(tmp_path: Path) -> None:
    out = tmp_path / "page.fax"
    Image.fromarray(np.dstack([np.zeros_like(PELS), PELS * 255])).save(tmp_path / "page.png")
    codec("encode", "--coding", "mmr", "--lsb", tmp_path / "page.png", out)
    assert out.read_bytes() == encode(BITMAP, Coding.MMR)


def test_a_tiff_is_read_as_its_photometric_says(tmp_path: Path) -> None:
    out = tmp_path / "page.fax"
    Image.fromarray(PELS == 0).save(tmp_path / "page.tif", compression="group4")
    codec("encode", "--coding", "mmr", "--lsb", tmp_path / "page.tif", out)
    assert out.read_bytes() == encode(BITMAP, Coding.MMR)
    Image.fromarray(PELS != 0).save(tmp_path / "page.tif", compression="group4", tiffinfo={262: 0})
    codec("encode", "--coding", "mmr", "--lsb", tmp_path / "page.tif", out)
    inverted = encode(Bitmap.from_pels((PELS == 0).view(np.uint8)), Coding.MMR)
    assert out.read_bytes() == inverted


def test_damage_is_reported_and_no_error(page: Path, tmp_path: Path) -> None:
    octets = bytearray(encode(BITMAP, Coding.MH))
    octets[len(octets) // 2 :] = b"\x55" * 10
    (tmp_path / "page.fax").write_bytes(octets)
    arguments = ["decode", "--coding", "mh", "--lsb", "--width", 100, tmp_path / "page.fax", tmp_path / "back.pbm"]
    said = json.loads(codec(*arguments, "--json"))
    assert said["damaged_rows"] >= said["longest_damaged_run"] >= 1
    lengths = [last - first + 1 for first, last in said["damage"]]
    assert (sum(lengths), max(lengths)) == (said["damaged_rows"], said["longest_damaged_run"])
    assert said["rows"] < 40
    assert len(said["damage_bits"]) == len(said["damage"])
    assert len(octets) * 4 - 8 * 12 <= said["damage_bits"][0] < 8 * len(octets)
    shown = (tmp_path / "back.pbm").read_bytes()
    assert json.loads(codec(*arguments, "--json", "--no-conceal")) == said
    first, last = said["damage"][-1]
    bare = (tmp_path / "back.pbm").read_bytes()
    head, row = len(b"P4\n100 40\n"), 13
    assert not any(bare[head + row * first : head + row * (last + 1)])
    assert any(shown[head + row * first : head + row * (last + 1)])
    assert codec(*arguments).startswith(f"{said['rows']} rows, {said['damaged_rows']} damaged")


def test_input_without_octets_is_a_page_without_rows(tmp_path: Path) -> None:
    (tmp_path / "page.fax").write_bytes(b"")
    said = codec("decode", "--coding", "mr", "--width", 8, "--json", tmp_path / "page.fax", tmp_path / "back.pbm")
    assert json.loads(said) == {"rows": 0, "damaged_rows": 0, "longest_damaged_run": 0, "damage": [], "damage_bits": []}
    assert (tmp_path / "back.pbm").read_bytes() == b"P4\n8 0\n"


def _bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    Image.new("1", (100_000, 3)).save(folder / "wide.png")
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    (folder / "huge.pbm").write_bytes(b"P4\n100000 100000\n")
    (folder / "empty.png").write_bytes(b"")
    (folder / "words.png").write_bytes(b"not an image")
    Image.fromarray(PELS * 255).save(folder / "whole.png")
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:200])
    pages = [Image.new("1", (8, 8)), Image.new("1", (8, 8))]
    pages[0].save(folder / "two.tif", save_all=True, append_images=pages[1:])
    codes = {
        "wide.png": "document.too_large",
        "bomb.png": "document.too_large",
        "huge.pbm": "document.too_large",
        "empty.png": "document.unreadable",
        "words.png": "document.unreadable",
        "cut.png": "document.damaged",
        "two.tif": "usage",
        "missing.png": "usage",
        ".": "usage",
    }
    return {name: (folder / name, code) for name, code in codes.items()}


def test_a_file_that_is_no_fax_page_gets_one_sentence(tmp_path: Path) -> None:
    for path, code in _bad_files(tmp_path).values():
        with pytest.raises(RequestError) as mistake:
            codec("encode", "--coding", "mmr", path, tmp_path / "out")
        assert mistake.value.code == code, path
        assert str(path) in mistake.value.reason
        assert mistake.value.reason.count("\n") == 0
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["encode", "--coding", "mr", "--k", 3],
        ["encode", "--coding", "mh", "--min-row-bits", -1],
        ["encode", "--coding", "mh", "--min-row-bits", 10**9],
        ["encode", "--coding", "mmr", "--min-row-bits", 100],
        ["decode", "--coding", "mh", "--width", 0],
        ["decode", "--coding", "mh", "--width", 4865],
    ],
)
def test_options_out_of_range_are_refused(page: Path, tmp_path: Path, options: list[object]) -> None:
    with pytest.raises(RequestError, match="--") as mistake:
        codec(*options, page, tmp_path / "out")
    assert mistake.value.code == "usage"


def test_the_command_ends_with_2_and_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("1", (100_000, 3)).save(path)
    main = "from faxgw.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", main, "codec", "encode", "--coding", "mmr", path, tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == f"faxgw: {path} is 100000 pels wide; a fax page has at most 4864.\n"
