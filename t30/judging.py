"""Whether a training check came through, and whether a page is good enough (T.30 leaves both to the receiver)."""

from t30 import timers
from t30.fcf import Fcf
from t30.pages import Verdict
from t30.policy import Quality, TrainingCheck
from t30.rates import Modulation


def judged(verdict: Verdict, quality: Quality) -> Fcf:
    """Return the answer that a page deserves: MCF, RTP or RTN."""
    share = verdict.bad_rows / verdict.rows if verdict.rows else 1.0
    if share > quality.retrain or verdict.longest_bad_run > quality.longest_run:
        return Fcf.RTN
    return Fcf.MCF if share <= quality.confirm else Fcf.RTP


def trained(octets: bytes, modulation: Modulation, check: TrainingCheck) -> bool:
    """Tell whether a training check came through: a long run of zeros, and little else."""
    body = _body(octets, modulation)
    longest = max((len(run) for run in _zero_runs(body)), default=0)
    damaged = len(body) - body.count(0)
    return longest >= int(modulation.octets(timers.TCF_SECONDS) * check.zeros) and damaged <= len(body) * check.damaged


def error_rate(octets: bytes, modulation: Modulation) -> float:
    r"""Return the share of bits of a training check that are not zero; of one that did not come, 1.0.

    >>> error_rate(bytes(600) + b"\x03" + bytes(299), Modulation.V27TER_4800) == 2 / (8 * 900)
    True
    """
    body = _body(octets, modulation)
    return int.from_bytes(body).bit_count() / (8 * len(body)) if body else 1.0


def _body(octets: bytes, modulation: Modulation) -> bytes:
    """Leave out what a modem adds while it notices the end of the carrier (spandsp: up to 35 octets)."""
    return octets.rstrip(b"\xff")[: modulation.octets(timers.TCF_SECONDS)]


def _zero_runs(octets: bytes) -> list[bytes]:
    nonzero = bytes(range(1, 256))
    return octets.translate(bytes(1) + b"\x01" * len(nonzero)).split(b"\x01")
