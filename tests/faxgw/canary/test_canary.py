"""XM-14, XM-19, XM-20, FP-01: a canary that goes through everything a gateway does lies nowhere in clear."""

import gzip
import os
import random
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from faxgw.keys.tokens import ApiKey
from faxgw.store.server import urls_for_another_node
from tests.faxgw.canary.hostile import Loot, Opened, keys_in, open_all
from tests.faxgw.canary.looking import places
from tests.faxgw.canary.searching import WINDOW, Found, Search
from tests.faxgw.canary.specimen import PERSONAL, WORDS, Canary
from tests.faxgw.canary.story import Story, story
from tests.faxgw.serving import Service

STAGES = [
    "uploaded",
    "previewed",
    "held_up",
    "sent",
    "came_in",
    "forwarded",
    "taken_away",
    "backed_up",
    "restored",
    "deleted",
]


class Unsealed(Service):
    """A service whose seals are off."""

    program = (sys.executable, "-m", "tests.faxgw.canary.unsealed")


@pytest.fixture(scope="module")
def planted() -> tuple[Canary, Search]:
    canary = Canary(int(os.environ["FAXGW_SEED"]), {"API key": "a" + "bcdefghijklmnopqrstuvwxyz"})
    return canary, canary.search()


# ------------------------------------------------------------------------------------------------ the search finds it


def test_every_form_is_found_by_any_window_of_it(planted: tuple[Canary, Search]) -> None:
    canary, search = planted
    chance = random.Random(os.environ["FAXGW_SEED"])
    for form, octets in canary.forms().items():
        for _ in range(4):
            at = chance.randrange(len(octets) - WINDOW + 1)
            filler = chance.randbytes(chance.randrange(50))
            assert form in search.octets(filler + octets[at : at + WINDOW] + chance.randbytes(9)), (form, at)
        assert form not in search.octets(octets[: WINDOW - 1])
    for form, octets in canary.whole().items():
        assert search.octets(b"x" + octets) == {form}


def test_what_is_packed_is_unpacked_and_searched(planted: tuple[Canary, Search], tmp_path: Path) -> None:
    canary, search = planted
    noise = random.Random(0).randbytes(3000)
    text = noise + canary.sentence.encode() + noise
    (tmp_path / "zlib").write_bytes(noise + zlib.compress(text, 9) + noise)
    (tmp_path / "gzip").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("one/two.xml", text)
        packed.writestr("three.gz", gzip.compress(canary.page.octets))
    (tmp_path / f"called {canary.sentence}").write_bytes(b"")
    found = {(each.form, Path(each.where.partition(",")[0]).name) for each in search.files(tmp_path.iterdir())}
    assert {("sentence", "zlib"), ("sentence", "gzip"), ("sentence", "zip"), ("page as filed", "zip")} <= found
    assert any(form == "sentence" and name.startswith("called") for form, name in found)


def test_another_canary_is_not_found_nor_is_chance(planted: tuple[Canary, Search]) -> None:
    other = Canary(int(os.environ["FAXGW_SEED"]) + 1)
    _, search = planted
    for octets in (*other.uploads.values(), *other.forms().values(), os.urandom(1 << 20), bytes(1 << 16)):
        assert search.octets(octets) == set()


# ------------------------------------------------------------------------------------- and it is nowhere, or everywhere


@pytest.mark.slow
@pytest.mark.requirement("XM-14", "XM-19", "XM-20", "FP-01")
def test_at_no_stage_does_anything_that_the_service_wrote_have_the_canary(soak_seed: int) -> None:
    """XM-14: at every stage, in every file, in every form: nothing."""
    with story(Service, seed=soak_seed) as life:
        search, seen = life.canary.search(), []
        for stage in life.stages():
            assert search.files(places(life.service)) == set(), stage
            seen.append(stage)
        assert seen == [*STAGES, "stopped"]
        for name, octets in life.taken.items():
            (life.elsewhere / name).write_bytes(octets)
        # What its owner took away has it, so it was there all the time; what is sealed, or no content, has not.
        taken = search.files(life.elsewhere.iterdir())
        with_it = {Path(each.where.partition(",")[0]).name for each in taken if not each.form.startswith(PERSONAL)}
        assert with_it == {"fax.pdf", "fax.tif", "page.png", "preview.png", "box.zip"}
        assert f"{PERSONAL}number" in {each.form for each in taken if each.where.endswith("calls.csv")}


@pytest.mark.slow
def test_with_the_seals_off_the_search_finds_it_at_every_stage(soak_seed: int) -> None:
    with story(Unsealed, seed=soak_seed) as life:
        search = life.canary.search()
        found: dict[str, set[Found]] = {stage: search.files(places(life.service)) for stage in life.stages()}
    for stage in STAGES[:-1]:
        forms = {each.form for each in found[stage]}
        assert {"sentence", "page as filed"} <= forms, stage
        contents = [each.where for each in found[stage] if not each.form.startswith(PERSONAL)]
        assert all("/objects/" in each for each in contents), stage
        personal = {"number", "station", *WORDS} if stage not in ("uploaded", "previewed") else {"document"}
        assert {f"{PERSONAL}{each}" for each in personal} <= forms, stage
    assert "restored" in str(found["restored"])
    for name in ("number", "station", *WORDS):
        assert [
            each for each in found["restored"] if each.form == f"{PERSONAL}{name}" and "/restored/" in each.where
        ], name


@pytest.mark.slow
@pytest.mark.requirement("FP-06", "WF-05", "XM-14")
def test_where_nothing_is_stored_the_canary_is_nowhere_afterwards_whatever_keys_one_has(soak_seed: int) -> None:
    """FP-06, WF-05 (over the API): not in clear at any time, and after the end not even sealed."""
    with story(Service, seed=soak_seed) as life:
        search = life.canary.search()
        found: dict[str, int] = {}
        for stage in life.unstored():
            assert search.files(places(life.service)) == set(), stage
            opened = _opened_with_every_key(life)
            found[stage] = sum(bool(search.octets(octets)) for octets in opened.content.values())
            assert life.row("SELECT count(*) FROM wraps WHERE kind <> 'spool'") == (0,), stage
        assert all(found[stage] for stage in ("uploaded", "held_up", "collected"))  # it was there, for the gateway
        assert (found["gone"], found["over"]) == (0, 0)


def _opened_with_every_key(life: Story) -> Opened:
    loot = Loot.of(urls_for_another_node(life.service.data / "postgres").dispatcher, life.service.data / "objects")
    keys, _ = keys_in(life.service.data.with_name("data.spool_keys").iterdir())
    return open_all(loot, keys, secrets=[ApiKey.parse(life.service.account["api_key"]).secret])
