"""Whether a training check came through, and whether a page is good enough (T.30 leaves both to the receiver)."""

from t30 import timers
from t30.capabilities import Dcs, Station
from t30.estimate import Noise, is_better_slower
from t30.fcf import Fcf
from t30.outcome import Training
from t30.pages import Verdict
from t30.policy import Quality, TrainingCheck
from t30.rates import Modulation, best_first

FEWER = 0.5
"""A lower rate has helped if it left no more than this share of errors in each second."""


def judged(verdict: Verdict, quality: Quality) -> Fcf:
    """Return the answer that a page deserves: MCF, RTP or RTN."""
    share = verdict.bad_rows / verdict.rows if verdict.rows else 1.0
    if share > quality.retrain or verdict.longest_bad_run > quality.longest_run:
        return Fcf.RTN
    return Fcf.MCF if share <= quality.confirm else Fcf.RTP


def accepted(octets: bytes, modulation: Modulation, dcs: Dcs, *, station: Station, before: Training | None) -> bool:
    """Tell whether a training check deserves CFR: it came through, and a lower rate promises nothing better.

    Args:
        octets: what was received.
        modulation: the rate.
        dcs: what else the sender chose.
        station: who we are.
        before: the training check before this one, if there was any.
    """
    check = station.policy.training
    if not trained(octets, modulation, check, ecm=dcs.ecm):
        return False
    slower = _next_lower(modulation, station)
    if not check.estimate or slower is None or not _has_helped(before, modulation, error_rate(octets, modulation)):
        return True
    frame_octets = dcs.frame_octets if dcs.ecm else None
    noise = Noise.of(_body(octets, modulation), modulation)
    return not is_better_slower(noise, modulation, slower, frame_octets=frame_octets, rows=check.rows)


def trained(octets: bytes, modulation: Modulation, check: TrainingCheck, *, ecm: bool = False) -> bool:
    """Tell whether a training check came through: a long run of zeros, and little else."""
    body = _body(octets, modulation)
    longest = max((len(run) for run in _zero_runs(body)), default=0)
    damaged = len(body) - body.count(0)
    needed = int(modulation.octets(timers.TCF_SECONDS) * check.zeros / (2 if ecm else 1))
    return longest >= needed and damaged <= len(body) * check.damaged


def _next_lower(modulation: Modulation, station: Station) -> Modulation | None:
    """Return the rate that a sender tries after FTT, as far as we can know."""
    rates = best_first(station.families, modulation.bps - 1, station.policy.ladder)
    return next(rates, None)


def _has_helped(before: Training | None, modulation: Modulation, errors: float) -> bool:
    """Tell whether going down has left fewer errors in each second; if not, they are clicks, which spare no rate.

    Nor does it help to refuse a rate twice.
    """
    if before is None or before.passed or before.errors is None:
        return True
    return errors * modulation.bps < FEWER * before.errors * before.modulation.bps


def error_rate(octets: bytes, modulation: Modulation) -> float:
    r"""Return the share of bits of a training check that are not zero; of one that did not come, 1.0.

    >>> error_rate(bytes(600) + b"\x03" + bytes(299), Modulation.V27TER_4800) == 2 / (8 * 900)
    True
    """
    body = _body(octets, modulation)
    return int.from_bytes(body).bit_count() / (8 * len(body)) if body else 1.0


def _body(octets: bytes, modulation: Modulation) -> bytes:
    """Leave out what modems add: one that is still waiting for its data, and one that notices the carrier's end late.

    A sender may be some 0.4 s late; spandsp adds up to 35 octets at the end.
    """
    return octets.strip(b"\xff")[: modulation.octets(timers.TCF_SECONDS)]


def _zero_runs(octets: bytes) -> list[bytes]:
    nonzero = bytes(range(1, 256))
    return octets.translate(bytes(1) + b"\x01" * len(nonzero)).split(b"\x01")
