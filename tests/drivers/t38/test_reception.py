"""Packets as signals: what of them anybody who waits should look at."""

import pytest

from drivers.t38.ifp import DataPacket, DataType, Field, FieldType, Indicator, IndicatorPacket, Packet
from drivers.t38.reception import MOST_FRAMES, MOST_OCTETS, MOST_SIGNALS, MOST_WAITING, Reception
from t30.line import CHUNK_OCTETS

V21 = IndicatorPacket(Indicator.V21_PREAMBLE)
V17 = IndicatorPacket(Indicator.V17_14400_LONG)
NO_SIGNAL = IndicatorPacket(Indicator.NO_SIGNAL)


def hdlc(kind: FieldType, octets: bytes = b"") -> DataPacket:
    return DataPacket(DataType.V21, (Field(kind, octets),))


def page(octets: bytes) -> DataPacket:
    return DataPacket(DataType.V17_14400, (Field(FieldType.T4_NON_ECM_DATA, octets),))


@pytest.mark.parametrize(
    ("packets", "news"),
    [
        ([NO_SIGNAL, V21, V21, hdlc(FieldType.HDLC_DATA, b"\xff"), hdlc(FieldType.HDLC_DATA, b"\x03")], "01000"),
        ([hdlc(FieldType.HDLC_DATA, b"\xff"), hdlc(FieldType.HDLC_FCS_OK), hdlc(FieldType.HDLC_SIG_END)], "111"),
        ([V17, page(b"a"), page(b"b"), page(bytes(CHUNK_OCTETS)), NO_SIGNAL, NO_SIGNAL], "110110"),
    ],
)
def test_news_is_what_somebody_can_use(packets: list[Packet], news: str) -> None:
    reception = Reception()
    told = ""
    for packet in packets:
        reception.news = False
        reception.take(packet, 0.0)
        told += str(int(reception.news))
    assert told == news


def test_of_what_nobody_asks_for_no_more_is_kept_than_a_fax_can_need() -> None:
    reception = Reception()
    for _ in range(3 * MOST_SIGNALS):
        reception.take(V21, 0.0)
        for _ in range(2 * MOST_FRAMES):
            reception.take(hdlc(FieldType.HDLC_DATA, bytes(2000)), 0.0)
            reception.take(hdlc(FieldType.HDLC_FCS_OK), 0.0)
        reception.take(NO_SIGNAL, 0.0)
    reception.take(V17, 0.0)
    for _ in range(20):
        reception.take(page(bytes(60000)), 0.0)
    assert len(reception.signals) == MOST_SIGNALS
    assert len(reception.signals[-1].octets) == MOST_WAITING
    assert all(len(each.frames) == MOST_FRAMES for each in list(reception.signals)[:-1])
    frame = reception.signals[0].frames[0]
    assert len(frame.octets) == MOST_OCTETS and not frame.good
