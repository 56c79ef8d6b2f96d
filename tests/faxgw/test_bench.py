"""``faxgw bench``: a short run of the real thing, and the arithmetic of its figures."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from faxgw.bench import lag
from faxgw.bench.drawn import drawn_pages
from faxgw.bench.figures import CannotMeasure, Figure, percentile, rounded, slope
from faxgw.bench.submitting import Run
from tests import command

FAXGW = str(Path(sys.executable).with_name("faxgw"))


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([FAXGW, "bench", *words], capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def result() -> dict[str, object]:
    only = [word for part in ("submit", "batch", "list", "memory-after") for word in ("--only", part)]
    size = ["--quick", "--seconds", "1", "--faxes", "2000", "--destinations", "50"]
    done = bench("api", "--json", *size, *only)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_run_measures_each_figure_that_was_asked_for(result: dict[str, dict[str, dict[str, object]]]) -> None:
    figures = result["figures"]
    assert {
        "submit.tiff",
        "submit.tiff_as_body",
        "submit.pdf",
        "submit.pdf_as_body",
        "batch",
        "list.first",
        "list.deep",
        "memory.after_work",
    } <= set(figures)
    assert {"lag.submit.tiff", "lag.batch", "lag.list"} <= set(figures)
    assert not any(name.startswith(("start", "highest", "memory.idle")) for name in figures)
    for name, figure in figures.items():
        assert {"what", "value", "unit", "target", "better", "met"} <= set(figure), name
        assert isinstance(figure["value"], float | int)
        assert figure["value"] > 0, name


@pytest.mark.slow
def test_mail_measures_submissions_a_large_message_and_idle_connections() -> None:
    done = bench("mail", "--json", "--quick", "--seconds", "2")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert set(figures) == {"idle", "submit.tiff", "submit.pdf", "large"}
    for name in ("submit.tiff", "submit.pdf"):
        assert figures[name]["value"] > 0 and figures[name]["errors"] == {}, name
        assert {"gateway", "postgresql", "client"} <= set(figures[name]["cpu_ms_each"])
    assert figures["large"]["octets"] > 24 * 2**20
    assert 0 < figures["large"]["most_mb"] - figures["large"]["before_mb"] < 100


def test_seal_measures_each_way_beside_the_cipher_alone() -> None:
    done = bench("seal", "--json", "--seconds", "0.2")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    ways = ("cipher", "seal", "open", "seal_pieces", "open_pieces")
    assert set(figures) == {f"{way}.{size}" for way in ways for size in ("page", "long")}
    for name, figure in figures.items():
        assert figure["value"] > 0, name
        assert (figure["target"], figure["unit"]) == (500.0, "MB/s")
        if name.startswith("cipher"):
            assert figure["of_the_cipher"] == 1.0


@pytest.mark.slow
def test_codec_measures_each_way_beside_libtiff() -> None:
    done = bench("codec", "--json", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    ways = {"mmr": {"decode", "encode"}, "mr": {"decode", "encode"}, "mh": {"decode", "encode", "to_mmr"}}
    for name, expected in ways.items():
        assert said[name].keys() == expected
        blank = said["blank"][name]
        assert blank.keys() == expected | {"look"}
        assert blank["look"]["ratio"] > blank["encode"]["ratio"]
        for way in said[name].values():
            least, most = way["spread"]
            assert least <= most
            assert min(way["per_chart"]) <= way["ratio"] <= max(way["per_chart"])
            assert len(way["per_chart"]) == len(way["libtiff_us"]) == len(way["faxgw_us"]) == 8
            assert min(way["libtiff_us"] + way["faxgw_us"]) > 0
    assert said["libtiff"].startswith("LIBTIFF")
    assert set(said["damage_map"]["by_coding"]) == set(ways)
    for way in said["threads"].values():
        gains = [math.log(way["faxgw_gain"][name] / way["libtiff_gain"][name]) for name in ways]
        assert way["ratio"] == pytest.approx(math.exp(sum(gains) / 3), rel=0.02)


@pytest.mark.interop
def test_render_measures_each_page_beside_ghostscript(peer: Callable[[str], Path]) -> None:
    peer("gs")
    done = bench("render", "--json", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    for kind in ("document", "page"):
        found = said[kind]
        assert set(found["per_page"]) == {"letter", "form", "picture"}
        assert found["spread"][0] <= found["spread"][1] and found["ratio"] > 0
        for name, ratio in found["per_page"].items():
            assert ratio == pytest.approx(found["ghostscript_ms"][name] / found["faxgw_ms"][name], rel=0.02)
    gains = [math.log(said["page"]["ghostscript_ms"][name] / each) for name, each in said["page"]["pdfium_ms"].items()]
    assert said["page"]["pdfium_ratio"] == pytest.approx(math.exp(sum(gains) / 3), rel=0.02)


def test_pages_drawn_for_the_codec_differ_and_are_none_of_them_blank() -> None:
    pages = drawn_pages(1728, 400)
    assert len({page.words.tobytes() for page in pages}) == len(pages) == 8
    assert all(page.words.any() and (page.width, page.rows) == (1728, 400) for page in pages)


@pytest.mark.slow
def test_t38_measures_packets_and_calls_that_are_up_at_once() -> None:
    done = bench("t38", "--calls", "2", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert {
        "ifp.encode",
        "ifp.decode",
        "udptl.encode",
        "udptl.decode",
        "calls.2",
        "memory.2",
        "cpu.2",
    } == figures.keys()
    assert figures["calls.2"]["value"] == 2
    assert figures["calls.2"]["verdicts"] == {"delivered": 1, "received": 1}
    assert all(each["value"] > 0 for name, each in figures.items() if name != "memory.2")


@pytest.mark.slow
def test_a_run_says_what_machine_it_was_and_who_ran_where(result: dict[str, dict[str, object]]) -> None:
    assert result["machine"]["cores"]
    assert {"gateway", "postgresql", "client"} <= set(result["cores"])
    if result["machine"]["cores"] != 1:
        assert result["cores"]["gateway"] == result["cores"]["postgresql"] != result["cores"]["client"]


@pytest.mark.slow
def test_a_run_counts_what_the_gateway_accepted(result: dict[str, dict[str, dict[str, object]]]) -> None:
    tiff = result["figures"]["submit.tiff"]
    assert tiff["errors"] == {}
    assert tiff["offered_per_s"] == 100
    latency = tiff["latency_ms"]
    assert isinstance(latency, dict)
    assert 0 < latency["p50"] <= latency["p99"]
    assert result["figures"]["list.largest"]["items"] == 200
    assert result["figures"]["list.none"]["items"] == 0
    assert result["figures"]["batch"]["destinations"] == 50
    assert all(figure["call_up"] for name, figure in result["figures"].items() if name.startswith("lag."))


@pytest.mark.slow
def test_a_gateway_that_cannot_start_is_not_measured(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    occupied = tmp_path / "no-folder"
    occupied.touch()
    done = bench("api", "--only", "start", "--data", str(occupied))
    assert done.returncode == 1
    assert str(occupied) in done.stderr


def test_an_unknown_benchmark_is_told_with_those_that_there_are() -> None:
    done = command.faxgw("bench", "nonsense")
    assert done.returncode == 2
    assert (
        done.stderr == "faxgw: There is no benchmark nonsense; there is api, mail, codec, render, seal, t38, modem.\n"
    )


def test_an_unknown_part_is_told_with_those_that_there_are() -> None:
    done = command.faxgw("bench", "api", "--only", "nonsense")
    assert done.returncode == 2
    assert "--only is one of start, memory, submit," in done.stderr


def test_a_figure_is_met_at_its_target_and_short_beyond_it() -> None:
    assert Figure("a", "a", 20.0, "ms", 20.0).met
    assert not Figure("a", "a", 20.1, "ms", 20.0).met
    assert Figure("a", "a", 100.0, "/s", 100.0, more_is_better=True).met
    assert not Figure("a", "a", 99.0, "/s", 100.0, more_is_better=True).met
    assert not Figure("a", "a", 100.0, "/s", 100.0, more_is_better=True, holds=False).met


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile(list(map(float, range(1, 101))), 99) == 99.0
    assert percentile([7.0], 99) == 7.0
    with pytest.raises(CannotMeasure):
        percentile([], 50)


def test_figures_are_rounded_to_three_digits() -> None:
    assert [rounded(each) for each in (0.0, 0.012345, 1.2345, 123.45, 12345.6)] == [0.0, 0.0123, 1.23, 123.0, 12346.0]


def test_a_backlog_that_grows_with_every_second_is_not_flat() -> None:
    seconds = [(float(each), 20 * each) for each in range(11)]
    assert math.isclose(slope(seconds), 20.0)
    assert not Run(100.0, 10.0, backlog=seconds).flat


def test_a_backlog_that_goes_up_and_down_is_flat_and_one_with_errors_is_not() -> None:
    seconds = [(float(each), 5 if each % 2 else 15) for each in range(61)]
    run = Run(100.0, 60.0, backlog=seconds)
    assert run.flat
    run.errors["503"] += 1
    assert not run.flat


def test_the_lag_is_of_the_samples_between_two_looks() -> None:
    line = 'faxgw_loop_lag_seconds_bucket{{le="{}"}} {}\n'
    before = lag.buckets("".join(line.format(*each) for each in (("0.01", 1000.0), ("0.02", 1000.0), ("+Inf", 1000.0))))
    after = lag.buckets("".join(line.format(*each) for each in (("0.01", 1050.0), ("0.02", 1090.0), ("+Inf", 1100.0))))
    counted = lag.between(before, after)
    assert lag.samples_of(counted) == 100
    assert lag.share_within(counted, 0.02) == 0.9
    assert math.isclose(lag.percentile(counted, 50), 0.01)
    assert math.isclose(lag.percentile(counted, 70), 0.015)
    assert lag.percentile(counted, 99) == 0.02
    with pytest.raises(CannotMeasure):
        lag.percentile(lag.between(before, before), 99)
