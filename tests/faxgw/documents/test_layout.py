import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxgw.documents.layout import LINES_PER_MM, Layout, PageShape, Paper, PelForPel, place, scan_line_mm
from t30.pages import Length, PageLimits, Resolution, Width
from tests.faxgw.documents.making import limits

A4 = PageShape(210.0, 297.0, sized=True)
A3 = PageShape(297.0, 420.0, sized=True)


def lay(
    shape: PageShape,
    within: PageLimits,
    *,
    paper: Paper | None = None,
    resolution: Resolution | None = None,
    header: bool = False,
) -> Layout:
    return place(shape, limits=within, paper=paper, resolution=resolution, header=header)


@pytest.mark.parametrize(
    ("resolution", "pels", "rows"),
    [
        (Resolution.STANDARD, 1728, 1143),
        (Resolution.FINE, 1728, 2287),
        (Resolution.SUPERFINE, 1728, 4574),
        (Resolution.R300, 2592, 3508),
        (Resolution.R400, 3456, 4574),
    ],
)
def test_an_a4_page_fills_an_a4_fax_page_at_every_resolution(resolution: Resolution, pels: int, rows: int) -> None:
    page = lay(A4, limits(), resolution=resolution)
    assert (page.pels, page.rows, page.resolution, page.length) == (pels, rows, resolution, Length.A4)


@pytest.mark.parametrize(
    ("wanted", "theirs", "got"),
    [
        (Resolution.FINE, {Resolution.STANDARD}, Resolution.STANDARD),
        (Resolution.R300, {Resolution.STANDARD, Resolution.FINE, Resolution.SUPERFINE}, Resolution.FINE),
        (Resolution.R400, {Resolution.STANDARD, Resolution.SUPERFINE}, Resolution.SUPERFINE),
        (Resolution.STANDARD, set(Resolution), Resolution.STANDARD),
        (None, set(Resolution), Resolution.FINE),
    ],
)
def test_resolution_falls_to_what_the_receiver_has(
    wanted: Resolution | None, theirs: set[Resolution], got: Resolution
) -> None:
    assert lay(A4, limits(*theirs), resolution=wanted).resolution is got


def test_an_a3_page_keeps_its_size_where_the_receiver_has_a3_paper() -> None:
    page = lay(A3, limits(width=Width.A3))
    assert (page.width, page.length, page.rows) == (Width.A3, Length.UNLIMITED, 3234)


def test_an_a3_page_is_made_smaller_where_the_receiver_has_only_a4() -> None:
    page = lay(A3, limits(width=Width.A4, length=Length.A4))
    assert (page.width, page.length, page.turned) == (Width.A4, Length.A4, False)
    assert page.rows <= 2287


def test_a_letter_page_takes_the_whole_scan_line() -> None:
    page = lay(PageShape(215.9, 279.4, sized=True), limits(width=Width.A3))
    assert (page.width, page.box.left, page.box.across) == (Width.A4, 0, 1728)


def test_a_landscape_page_is_turned_rather_than_made_smaller_or_wider() -> None:
    page = lay(PageShape(297.0, 210.0, sized=True), limits(width=Width.A3))
    assert (page.turned, page.width, page.rows) == (True, Width.A4, 2287)


def test_a_photo_of_unknown_size_stays_upright_on_a4() -> None:
    page = lay(PageShape(1058.0, 794.0, sized=False), limits(width=Width.A3))
    assert (page.turned, page.width, page.box.across) == (False, Width.A4, 1728)


def test_a_small_page_keeps_its_size_but_fills_a_wanted_paper() -> None:
    a5 = PageShape(148.0, 210.0, sized=True)
    assert lay(a5, limits()).box.across == round(148 * 1728 / 215)
    assert lay(a5, limits(), paper=Paper.A4).box.down == 2287


def test_a_wanted_paper_is_sent_whole_whatever_the_page() -> None:
    page = lay(PageShape(215.9, 279.4, sized=True), limits(), paper=Paper.A4)
    assert page.rows == 2287
    assert page.box.top == 0
    assert page.box.down < 2287


def test_a_wanted_a3_shrinks_in_proportion_where_the_receiver_has_only_a4() -> None:
    page = lay(A3, limits(length=Length.A4), paper=Paper.A3)
    assert page.width is Width.A4
    assert page.rows <= 2287


def test_a_header_does_not_make_an_a4_page_longer_than_a4() -> None:
    page = lay(A4, limits(), header=True)
    assert page.length is Length.A4
    assert page.box.top == page.header_rows == 35


class TestPelForPel:
    CHART = PageShape(215.15, 307.9, sized=True, pel_for_pel=PelForPel(Width.A4, Resolution.FINE, 2376))

    def test_a_fax_page_is_copied(self) -> None:
        page = lay(self.CHART, limits(Resolution.STANDARD, Resolution.FINE, length=Length.A4))
        assert (page.copied, page.rows, page.resolution, page.length) == (True, 2376, Resolution.FINE, Length.A4)

    def test_it_keeps_its_resolution_though_more_is_wanted(self) -> None:
        page = lay(self.CHART, limits(), resolution=Resolution.SUPERFINE)
        assert (page.copied, page.resolution) == (True, Resolution.FINE)

    @pytest.mark.parametrize(
        ("within", "paper", "resolution"),
        [
            (limits(Resolution.STANDARD), None, None),
            (limits(), None, Resolution.STANDARD),
            (limits(width=Width.A3), Paper.A3, None),
        ],
        ids=["receiver has only standard", "standard is wanted", "another paper is wanted"],
    )
    def test_it_is_drawn_anew_otherwise(
        self, within: PageLimits, paper: Paper | None, resolution: Resolution | None
    ) -> None:
        page = lay(self.CHART, within, paper=paper, resolution=resolution)
        assert not page.copied
        assert page.resolution is (resolution or (Resolution.FINE if paper else Resolution.STANDARD))

    def test_one_far_longer_than_agreed_is_made_smaller(self) -> None:
        long = PageShape(215.15, 518.0, sized=True, pel_for_pel=PelForPel(Width.A4, Resolution.FINE, 4000))
        assert lay(long, limits()).copied
        assert lay(long, limits(length=Length.B4)).rows <= round(364 * 7.7)


@given(
    across=st.floats(1, 5000),
    down=st.floats(1, 5000),
    sized=st.booleans(),
    width=st.sampled_from(Width),
    length=st.sampled_from(Length),
    resolutions=st.sets(st.sampled_from(Resolution)).map(lambda some: some | {Resolution.STANDARD}),
    wanted=st.none() | st.sampled_from(Resolution),
    paper=st.none() | st.sampled_from(Paper),
    header=st.booleans(),
)
def test_any_page_is_whole_undistorted_and_within_the_limits(  # noqa: PLR0917
    across: float,
    down: float,
    sized: bool,
    width: Width,
    length: Length,
    resolutions: set[Resolution],
    wanted: Resolution | None,
    paper: Paper | None,
    header: bool,
) -> None:
    within = limits(*resolutions, width=width, length=length)
    page = lay(PageShape(across, down, sized), within, paper=paper, resolution=wanted, header=header)
    assert page.resolution in resolutions
    assert page.width.value <= width.value
    box = page.box
    assert box.left >= 0
    assert box.left + box.across <= page.pels
    assert page.header_rows == box.top
    assert box.top + box.down <= page.rows
    if length.value is not None:
        assert page.rows <= length.value * LINES_PER_MM[page.resolution] + 1
        assert page.length.value is not None
        assert page.length.value <= length.value
    # One pel of rounding either way is all that the two scales may differ by.
    page_across, page_down = (down, across) if page.turned else (across, down)
    pels_per_mm = page.pels / scan_line_mm(page.width, page.resolution)
    least = (box.across - 1) / pels_per_mm / page_across, (box.down - 1) / LINES_PER_MM[page.resolution] / page_down
    most = (box.across + 1) / pels_per_mm / page_across, (box.down + 1) / LINES_PER_MM[page.resolution] / page_down
    assert least[0] <= most[1]
    assert least[1] <= most[0]
