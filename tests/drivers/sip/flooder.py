"""Sends INVITEs from 127.0.0.2, each of another call, and prints how many: ``python -m tests.drivers.sip.flooder``."""

import socket
import sys
import time

FROM = "127.0.0.2"
INVITE = "\r\n".join(
    [
        "INVITE sip:15550100@{host}:{port} SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bK{number};rport",
        "Max-Forwards: 70",
        "From: <sip:stranger@127.0.0.2>;tag={number}",
        "To: <sip:15550100@{host}:{port}>",
        "Call-ID: {number}@127.0.0.2",
        "CSeq: 1 INVITE",
        "Contact: <sip:stranger@127.0.0.2>",
        "Content-Length: 0",
        "",
        "",
    ]
)


def flood(host: str, port: int, *, rate: int, seconds: float) -> int:
    """Send so many INVITEs a second for so long, a millisecond's worth at once; return how many."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((FROM, 0))
        began, sent = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < seconds:
            while sent < elapsed * rate:
                made.sendto(INVITE.format(host=host, port=port, number=sent).encode(), (host, port))
                sent += 1
            time.sleep(0.001)
        return sent


if __name__ == "__main__":
    print(flood(sys.argv[1], int(sys.argv[2]), rate=int(sys.argv[3]), seconds=float(sys.argv[4])))
