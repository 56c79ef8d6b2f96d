"""What to do about a call that failed, in words for whoever has to do it: by the cause, and by which end we were."""

from dataclasses import dataclass

from t30.fcf import Fcf
from t30.outcome import Direction, Outcome


@dataclass(frozen=True, slots=True)
class Advice:
    """What whoever sent the fax can do, and whoever was to receive it."""

    sender: str
    receiver: str = "Ask the sender to send it again."


_ASK = "Dial the number by telephone: if a voice answers, it is no fax number."
_OURS = "This is a fault of faxgw: send this recording to its makers (docs/traces.md says how)."
_SLOWER = "Send again at a lower rate (--max-rate 9600, then 4800)"
_NOISE = (
    "The line damages what it carries: see that nothing else hangs on it; over SIP, that T.38 is used and not sound."
)

ADVICE: dict[str, Advice] = {
    "call.busy": Advice("Call again in some minutes."),
    "call.no_answer": Advice("Call again later; if it stays so, ask at the other end whether the machine is on."),
    "call.no_carrier": Advice(_ASK),
    "call.no_dialtone": Advice(
        "Check the cable from the modem to the telephone socket, and that nobody uses the line."
    ),
    "call.rejected": Advice("Check the number; ask the provider whether calls to it are allowed."),
    "call.unallocated": Advice("Check the number: the network says that it belongs to nobody."),
    "call.congestion": Advice("Call again in some minutes: the network had no free line."),
    "call.network": Advice("Call again; if it happens with every number, ask the provider."),
    "call.timeout": Advice("Call again; if it happens with every number, ask the provider."),
    "call.no_t38": Advice("Ask the provider whether this trunk carries T.38; if not, use another trunk or a modem."),
    "call.canceled": Advice("Nothing: somebody on this side ended the call.", "Nothing: somebody here ended the call."),
    "call.interrupted": Advice("Nothing: the gateway calls again by itself once it runs."),
    "fax.training": Advice(f"{_SLOWER}. {_NOISE}", _NOISE),
    "fax.page_refused": Advice(f"{_SLOWER}, with error correction (--ecm on). {_NOISE}", _NOISE),
    "fax.no_response": Advice(
        f"Call again. If this number always fails so: {_SLOWER[0].lower()}{_SLOWER[1:]}, or with --ecm off."
    ),
    "fax.disconnected": Advice(
        f"Call again. If this number always fails so: {_SLOWER[0].lower()}{_SLOWER[1:]}, or with --ecm off."
    ),
    "fax.protocol": Advice(
        "Try it with --ecm off, then with --modems v27ter,v29: the other machine does what T.30 does not allow.",
        "Ask the sender to send it again without error correction, or at a lower rate.",
    ),
    "fax.incomplete": Advice("Send again the pages that were not confirmed."),
    "fax.failed": Advice("Send it again."),
    "fax.no_machine": Advice(_ASK, "Nothing: whoever called was no fax machine."),
    "fax.incompatible": Advice(
        "Allow more (--modems, --max-rate): the two machines have nothing in common that both may use.",
        "Allow more (--modems, --max-rate), or ask the sender to: the two machines have nothing in common.",
    ),
    "fax.operator": Advice(
        "Call the other end and speak to somebody, or go on without them (--operator go-on).",
        "Call the sender and speak to somebody, or go on without them (--operator go-on).",
    ),
    "fax.nothing_to_poll": Advice("Nothing.", "Ask at the other end when there will be a document to fetch."),
    "fax.poll_refused": Advice(
        "Nothing: whoever asked for the document may not have it.", "Ask for the right password."
    ),
    "fax.internal": Advice(_OURS, _OURS),
    "line.dropped": Advice(
        "Call again. If calls to all numbers break off after about the same time, ask the provider.",
        "Ask the sender to send it again. If calls break off after about the same time, ask the provider.",
    ),
    "line.unavailable": Advice(
        "See whether the modem is plugged in and on, and whether another program has it open.",
        "See whether the modem is plugged in and on, and whether another program has it open.",
    ),
    "storage.failed": Advice("See whether the disk is full.", "See whether the disk is full; then ask for it again."),
}
"""By the name of the cause; what is none of these is the document's or the gateway's, and says itself what is wrong."""

_AFTER = {
    Fcf.DIS: "They hung up when they heard what this machine can do.",
    Fcf.DCS: "They hung up at the training: most often because of V.17 (try --modems v27ter,v29).",
    Fcf.EOP: "They hung up after the last page and before its confirmation: it may have arrived.",
}
_AFTER[Fcf.PPS] = _AFTER[Fcf.EOP]
_AFTER_SENT = frozenset({Fcf.DCS, Fcf.EOP, Fcf.PPS})
"""Of those, what only a sender says."""


def advice(outcome: Outcome | None) -> str:
    """Say what to do about a call."""
    if outcome is None:
        return "Nothing can be said: the recording ends too early."
    if not outcome.reason.code:
        return "Nothing."
    found = ADVICE.get(outcome.reason.code)
    if found is None:
        return "See what the cause says."
    told = found.sender if outcome.direction is Direction.OUT else found.receiver
    after = outcome.evidence.hung_up_after
    if after in _AFTER and (after not in _AFTER_SENT or outcome.direction is Direction.OUT):
        told = f"{_AFTER[after]} {told}"
    return told
