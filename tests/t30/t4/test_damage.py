"""What becomes of damaged and of odd streams, bit by bit."""

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from t30.pages import Coding
from t30.t4 import Bitmap, Decoded, Decoder, coded, decoder, encode
from t30.t4.jbig import Header
from t30.t4.state import MAX_ROWS
from t30.t4.tables import MAX_WIDTH, RUNS
from tests.t30.t4 import samples
from tests.t30.t4.decoding import decode, octets_of

EOL = "000000000001"
FILL = "0" * 29
PLAIN = "10011"  # 8 white
HALVES = "1011 011"  # 4 white, 4 black
BLACK = "00110101 000101"  # 0 white, 8 black
ROWS = {PLAIN: "........", HALVES: "....####", BLACK: "########"}
LATE = "001 000111 00011"  # horizontal: 1 white, 7 black
EXTENSION_1D, EXTENSION_2D = "000000001111", "0000001111"


def read(bits: str, coding: Coding = Coding.MH) -> tuple[list[str], bool]:
    """Decode rows of 8 pels; return them, each ``?`` where damaged, and whether the page was ended."""
    decoder, page = decode(coding, 8, [octets_of(bits)])
    return drawn(page), decoder.page_ended


def drawn(page: Decoded) -> list[str]:
    rows = ["".join(".#"[pel] for pel in row) for row in page.bitmap.pels()]
    return ["?" if bad else row for row, bad in zip(rows, page.damaged, strict=True)]


GOOD = [ROWS[PLAIN], ROWS[HALVES], ROWS[BLACK]]


@pytest.mark.parametrize(
    "bits",
    [
        EOL + PLAIN + EOL + HALVES + EOL + BLACK + EOL * 6,
        PLAIN + EOL + HALVES + EOL + BLACK + EOL * 6,
        EOL * 5 + PLAIN + EOL + HALVES + EOL + BLACK + EOL * 6,
        EOL + PLAIN + FILL + EOL + HALVES + FILL * 1000 + EOL + BLACK + EOL * 6,
        FILL + EOL + PLAIN + EOL + HALVES + EOL + BLACK + EOL * 4,
        EOL + PLAIN + EOL + HALVES + EOL + BLACK + EOL * 4 + "1011" * 40,
        PLAIN + HALVES + BLACK + EOL * 6,
    ],
    ids=["as in T.4", "no first EOL", "five EOLs first", "fill", "short RTC", "junk after RTC", "no EOLs"],
)
def test_ways_to_send_three_rows(bits: str) -> None:
    assert read(bits) == (GOOD, True)


@pytest.mark.parametrize("tail", ["", EOL, EOL * 2, FILL, FILL + EOL, "1", "011"])
def test_input_may_end_without_rtc(tail: str) -> None:
    assert read(EOL + PLAIN + EOL + HALVES + EOL + BLACK + tail) == (GOOD, False)


def test_a_page_may_have_no_rows() -> None:
    for coding, bits in ((Coding.MH, EOL * 6), (Coding.MR, (EOL + "1") * 6), (Coding.MMR, EOL * 2)):
        assert read(bits, coding) == ([], True)
        assert read("", coding) == ([], False)


@pytest.mark.parametrize(
    "row",
    ["1011", "1011 11", "1011 0010 1000", EXTENSION_1D, "0000 0001 1011", "10010 1011"],
    ids=["no black", "short", "long", "extension", "no code word", "too long already"],
)
def test_a_row_that_does_not_add_up_is_damaged_and_the_next_one_is_not(row: str) -> None:
    rows = [ROWS[PLAIN], "?", ROWS[BLACK]]
    assert read(EOL + PLAIN + EOL + row + EOL + BLACK + EOL * 6) == (rows, True)


def test_what_follows_a_whole_row_without_an_eol_is_a_row_of_its_own() -> None:
    rows = [ROWS[HALVES], "?", ROWS[BLACK]]
    assert read(EOL + HALVES + "1011" + EOL + BLACK + EOL * 6) == (rows, True)


def test_a_damaged_row_shows_the_last_good_one() -> None:
    _, page = decode(
        Coding.MH, 8, [octets_of(EOL + "1011 11" + EOL + HALVES + EOL + "1011 11" + EOL + "1111 11" + EOL * 6)]
    )
    assert list(page.damaged) == [True, False, True, True]
    assert np.array_equal(page.bitmap.pels(), [[0] * 8, *[[0] * 4 + [1] * 4] * 3])


def test_a_row_cut_off_by_the_end_of_input_is_damaged() -> None:
    assert read(EOL + PLAIN + EOL + "1011") == ([ROWS[PLAIN], "?"], False)
    assert read("1" + "001 1011", Coding.MMR)[0] == [ROWS[PLAIN], "?"]


@pytest.mark.parametrize(("row", "becomes"), [("0111 1", "?"), ("0111 001", "..######")])
def test_an_eol_is_found_though_a_code_word_took_one_of_its_zeros(row: str, becomes: str) -> None:
    rows = [ROWS[PLAIN], becomes, ROWS[BLACK]]
    assert read(EOL + PLAIN + EOL + row + EOL + BLACK + EOL * 6) == (rows, True)


@pytest.mark.parametrize("hit", range(12))
def test_an_eol_hit_by_noise_costs_no_more_than_one_row_and_shifts_nothing(hit: int) -> None:
    eol = EOL[:hit] + "01"[EOL[hit] == "0"] + EOL[hit + 1 :]
    bitmap = samples.text(1728, 60)
    bits = [bits_of(encode(_row(bitmap, row), Coding.MH, end_of_page=False))[12:] for row in range(bitmap.rows)]
    stream = EOL + EOL.join(bits[:40]) + eol + EOL.join(bits[40:]) + EOL * 6
    _, page = decode(Coding.MH, 1728, [octets_of(stream)])
    assert page.rows == bitmap.rows
    assert set(np.flatnonzero(page.damaged)) <= {39, 40}
    assert np.array_equal(page.bitmap.words[~page.damaged], bitmap.words[~page.damaged])


@pytest.mark.parametrize("hit", ["1", "101", "1001101", "1 00000 1 1", "1 00000000000000000 1 0000 1"])
def test_a_hit_on_fill_costs_no_row(hit: str) -> None:
    bitmap = samples.text(1728, 60)
    rows = [bits_of(encode(_row(bitmap, row), Coding.MH, end_of_page=False))[12:] for row in range(bitmap.rows)]
    rows[30] += FILL + hit + FILL
    _, page = decode(Coding.MH, 1728, [octets_of(EOL + EOL.join(rows) + EOL * 6)])
    assert page.bitmap == bitmap
    assert page.bad_rows == 0


def test_four_eols_of_rtc_that_are_left_end_the_page() -> None:
    for hit in range(6):
        rtc = [EOL] * 6
        rtc[hit] = "000001000001"
        rows, ended = read(EOL + PLAIN + EOL + BLACK + "".join(rtc))
        assert ended == (hit not in {2, 3})
        assert rows[:2] == [ROWS[PLAIN], ROWS[BLACK]]
        assert set(rows[2:]) <= {"?"}


def test_five_octets_hit_cost_five_rows() -> None:
    bitmap = samples.alike(1728, 1000)
    inked = _inked(bitmap)
    hit = [inked[len(inked) * fifth // 5] for fifth in range(5)]
    octets = bytearray(encode(bitmap, Coding.MH))
    for row in hit:
        end = len(encode(Bitmap(1728, bitmap.words[: row + 1]), Coding.MH, end_of_page=False))
        octets[end - 12] ^= 0xFF
    _, page = decode(Coding.MH, 1728, [bytes(octets)])
    assert page.rows == bitmap.rows
    assert list(np.flatnonzero(page.damaged)) == hit
    assert np.array_equal(page.bitmap.words[~page.damaged], bitmap.words[~page.damaged])


def test_damage_in_mr_lasts_until_the_next_row_coded_by_itself() -> None:
    bitmap = samples.text(1728, 300)
    octets = bytearray(encode(bitmap, Coding.MR, k=4))
    first = next(row for row in _inked(bitmap) if row % 4 == 0)
    end = len(encode(Bitmap(1728, bitmap.words[: first + 1]), Coding.MR, k=4, end_of_page=False))
    octets[end - 12] ^= 0xFF
    _, page = decode(Coding.MR, 1728, [bytes(octets)])
    assert list(np.flatnonzero(page.damaged)) == [first, first + 1, first + 2, first + 3]
    assert np.array_equal(page.bitmap.words[~page.damaged], bitmap.words[~page.damaged])


def test_rows_of_mr_that_lean_on_a_damaged_one_are_damaged_however_short() -> None:
    bits = [EOL + "1" + HALVES, EOL + "0" + "11", EOL + "1" + "1111 11", *[EOL + "0" + "11"] * 2, EOL + "1" + BLACK]
    rows = [ROWS[HALVES], ROWS[HALVES], "?", "?", "?", ROWS[BLACK]]
    assert read("".join(bits) + (EOL + "1") * 6, Coding.MR) == (rows, True)


def test_a_page_of_mr_cannot_begin_with_a_row_that_leans_on_another() -> None:
    bits = [EOL + "0" + "1", EOL + "1" + HALVES, EOL + "0" + "11"]
    assert read("".join(bits) + (EOL + "1") * 6, Coding.MR) == (["?", ROWS[HALVES], ROWS[HALVES]], True)


@pytest.mark.parametrize("stray", ["1", "0110 1011 0101"])
def test_bits_before_the_first_eol_of_mr_are_no_row(stray: str) -> None:
    assert read(stray + EOL + "1" + HALVES + (EOL + "1") * 6, Coding.MR) == ([ROWS[HALVES]], True)


def test_damage_ends_an_mmr_page_with_a_row_marked() -> None:
    bitmap = samples.text(1728, 80)
    octets = bytearray(encode(bitmap, Coding.MMR))
    end = len(encode(Bitmap(1728, bitmap.words[:40]), Coding.MMR, end_of_page=False))
    octets[end:] = bytes(3) + b"\x01" * 50
    decoder, page = decode(Coding.MMR, 1728, [bytes(octets)])
    assert not decoder.page_ended
    assert page.bad_rows == page.longest_bad_run == 1
    assert page.damaged[-1]
    assert np.array_equal(page.bitmap.words[:40], bitmap.words[:40])


@pytest.mark.parametrize(
    ("bits", "at"),
    [(EXTENSION_2D, 1), ("0001", 1), (LATE + "0000010", 15), ("001 10010 11", 1), (EOL + "1", 13), ("0000011", 1)],
    ids=["extension", "pass past the end", "left of the row", "too long a run", "one EOL", "right of the row"],
)
def test_modes_that_lead_nowhere_are_damage_and_mmr_says_where(bits: str, at: int) -> None:
    stream = octets_of("1" + bits + "1" * 9)
    decoder, page = decode(Coding.MMR, 8, [stream])
    assert not decoder.page_ended
    assert drawn(page) == [ROWS[PLAIN], *[".#######"] * (LATE in bits), "?"]
    assert list(page.damaged_at) == [at]


def test_each_damaged_row_says_at_which_bit_damage_showed() -> None:
    rows = ["1011" + EXTENSION_1D, "1011 0010 1000", "1011 11", PLAIN, "10010 1011", "1011"]
    shows = [4, 4, 6, None, 0, 4]  # no code word, a run too long, an EOL too soon; none; again too long; the end
    bits, expected = "", []
    for row, at in zip(rows, shows, strict=True):
        bits += EOL
        expected += [len(bits) + at] if at is not None else []
        bits += row.replace(" ", "")
    _, page = decode(Coding.MH, 8, [octets_of(bits)])
    assert list(page.damaged) == [True, True, True, False, True, True]
    assert list(page.damaged_at) == expected


def test_a_row_that_leans_on_a_damaged_one_is_damaged_from_its_beginning() -> None:
    bits = EOL + "1" + "1011 11" + EOL + "0" + "11" + EOL + "1" + BLACK + (EOL + "1") * 6
    _, page = decode(Coding.MR, 8, [octets_of(bits)])
    assert list(page.damaged_at) == [19, 32]


def test_bits_before_the_first_eol_count() -> None:
    stream = b"\xff" * 9 + octets_of(EOL + "1011 11" + EOL + HALVES + EOL * 6)
    for chunks in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        decoder = Decoder(Coding.MH, 8, from_first_eol=True)
        for chunk in chunks:
            decoder.feed(chunk)
        assert list(decoder.finish().damaged_at) == [72 + 18]


@pytest.mark.parametrize("coding", [Coding.MH, Coding.MR, Coding.MMR, Coding.T85])
def test_without_concealment_a_damaged_row_is_white_and_all_else_the_same(coding: Coding) -> None:
    octets = bytearray(coded(samples.dithered(1728), coding))
    if coding is not Coding.T85:  # which shows only where it ends
        for at in range(500, len(octets), 2000):
            octets[at : at + 2] = b"\x55\xff"
    pages = []
    for conceal in (True, False):
        page = decoder(coding, 1728, conceal=conceal)
        page.feed(bytes(octets[:-500]))
        so_far = page.after(0)
        pages.append(page.finish())
        assert np.array_equal(so_far.words, pages[-1].bitmap.words[: so_far.rows])
    shown, bare = pages
    assert bare.bad_rows and np.array_equal(bare.damaged, shown.damaged)
    assert np.array_equal(bare.bitmap.words[~bare.damaged], shown.bitmap.words[~shown.damaged])
    assert not bare.bitmap.words[bare.damaged].any() and shown.bitmap.words[shown.damaged].any()


def test_runs_of_no_pels_join_their_neighbours() -> None:
    white, black = (["0" * 0, *runs.values()][1:] for runs in RUNS)
    assert read(EOL + white[2] + black[0] + white[2] + black[4] + EOL * 6) == ([ROWS[HALVES]], True)
    assert read("001" + white[2] + black[0] + "001" + white[2] + black[4] + EOL * 2, Coding.MMR)[0] == [ROWS[HALVES]]
    assert read("001" + white[8] + black[0] + EOL * 2, Coding.MMR) == ([ROWS[PLAIN]], True)


@pytest.mark.parametrize(("runs", "row"), [((2, 0, 2, 4), ROWS[HALVES]), ((2, 2, 0, 4), "..######")])
def test_a_row_below_runs_of_no_pels_leans_on_what_is_left_of_them(runs: tuple[int, ...], row: str) -> None:
    words = [RUNS[place % 2][run] for place, run in enumerate(runs)]
    bits = "001" + words[0] + words[1] + "001" + words[2] + words[3]
    assert read(bits + "11" + EOL * 2, Coding.MMR) == ([row, row], True)


def test_a_row_is_like_the_one_above_only_when_all_of_it_is_there() -> None:
    row = RUNS[0][0] + RUNS[1][5] + RUNS[0][3]
    octets = octets_of("0" + EOL + row + EOL + row)
    assert row.endswith("0") and len("0" + EOL + row + EOL + row) == 57
    assert drawn(decode(Coding.MH, 8, [octets])[1]) == ["#####..."] * 2
    assert drawn(decode(Coding.MH, 8, [octets[:7]])[1]) == ["#####...", "?"]


def test_endless_runs_of_no_pels_end_with_the_input() -> None:
    white, black = RUNS[0][0], RUNS[1][0]
    assert read(EOL + (white + black) * 20_000) == (["?"], False)


def test_a_page_without_end_is_kept_within_bounds() -> None:
    decoder, page = decode(Coding.MMR, 1728, [b"\xff" * 5000] * 4)  # one bit a row
    assert not decoder.page_ended
    assert page.rows == MAX_ROWS + 1
    assert list(np.flatnonzero(page.damaged)) == [MAX_ROWS]


@pytest.mark.parametrize("coding", list(Coding), ids=str)
def test_what_a_stream_makes_takes_no_more_memory_than_a_few_pages(coding: Coding) -> None:
    header = Header(MAX_WIDTH, 2**32 - 1, 64, 0).octets() if coding is Coding.T85 else b""
    page = (MAX_ROWS + 1) * MAX_WIDTH // 8
    rows = {Coding.MMR: b"\xff" * 40, Coding.T85: b"\xff\x02"}
    row = rows.get(coding) or encode(samples.white(MAX_WIDTH, 1), coding, end_of_page=False)
    reader = decoder(coding, MAX_WIDTH)
    reader.feed(header + row)  # compiles what is not compiled yet
    tracemalloc.start()
    try:
        for _ in range(40):
            reader.feed(row * 2000)
        assert reader.finish().rows > MAX_ROWS
        assert tracemalloc.get_traced_memory()[1] < 4 * page
    finally:
        tracemalloc.stop()


def test_the_longest_page_is_whole() -> None:
    bitmap = samples.white(64, MAX_ROWS)
    decoder, page = decode(Coding.MMR, 64, [encode(bitmap, Coding.MMR)])
    assert decoder.page_ended
    assert page.bitmap == bitmap
    assert page.bad_rows == 0


def test_the_tail_of_a_carrier_costs_two_rows_where_rtc_is_missing() -> None:
    tail = b"\xff" * 25 + bytes.fromhex("5A 13 C7 90 2E 71 88 04 FD 36")
    for coding in (Coding.MH, Coding.MR):
        bitmap = samples.text(1728, 60)
        _, page = decode(coding, 1728, [encode(bitmap, coding, end_of_page=False), tail])
        assert page.bad_rows <= 2
        assert np.array_equal(page.bitmap.words[:60], bitmap.words)


def _row(bitmap: Bitmap, row: int) -> Bitmap:
    return Bitmap(bitmap.width, bitmap.words[row : row + 1])


def _inked(bitmap: Bitmap) -> list[int]:
    """Find rows whose code is long enough to be hit in its middle."""
    changes = np.count_nonzero(np.diff(bitmap.pels(), axis=1), axis=1)
    return [int(row) for row in np.flatnonzero(changes > 40)]


def bits_of(octets: Sequence[int]) -> str:
    """Write octets as bits in the order of the wire."""
    return "".join(f"{octet:08b}"[::-1] for octet in octets)
