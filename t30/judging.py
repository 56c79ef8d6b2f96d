"""Whether a training check came through, and whether a page is good enough (T.30 leaves both to the receiver)."""

from t30 import timers
from t30.capabilities import Quality
from t30.fcf import Fcf
from t30.pages import Verdict
from t30.rates import Modulation


def judged(verdict: Verdict, quality: Quality) -> Fcf:
    """Return the answer that a page deserves: MCF, RTP or RTN."""
    share = verdict.bad_rows / verdict.rows if verdict.rows else 1.0
    if share > quality.retrain or verdict.longest_bad_run > quality.longest_run:
        return Fcf.RTN
    return Fcf.MCF if share <= quality.confirm else Fcf.RTP


def trained(octets: bytes, modulation: Modulation) -> bool:
    """Tell whether a training check came through: 1 s of zeros in a row, and at most a tenth of it damaged.

    What a modem adds while it notices the end of the carrier does not count (spandsp: up to 35 octets).
    """
    whole = modulation.octets(timers.TCF_SECONDS)
    body = octets.rstrip(b"\xff")[:whole]
    longest = max((len(run) for run in _zero_runs(body)), default=0)
    damaged = len(body) - body.count(0)
    return longest >= whole * 2 // 3 and damaged * 10 <= len(body)


def _zero_runs(octets: bytes) -> list[bytes]:
    nonzero = bytes(range(1, 256))
    return octets.translate(bytes(1) + b"\x01" * len(nonzero)).split(b"\x01")
