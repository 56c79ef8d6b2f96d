"""Session descriptions, and the attributes of T.38 in every spelling."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis.strategies import binary, booleans, builds, integers, none, sampled_from, text, tuples

from drivers.sip.grammar import SipMalformed
from drivers.sip.sdp import MOST_MEDIA, Description, Media, Origin
from drivers.sip.t38 import T38, Correction, TcfMethod

FULL = T38(
    version=3,
    max_bit_rate=33600,
    fill_bit_removal=True,
    transcoding_mmr=True,
    transcoding_jbig=True,
    tcf=TcfMethod.LOCAL,
    max_buffer=2000,
    max_datagram=400,
    max_ifp=200,
    correction=Correction.FEC,
    depth=(1, 3),
    fec_span=4,
    vendor="181 0 12",
)
WRITTEN = (
    "v=0\r\no=- 7 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    "m=image 4000 udptl t38\r\nc=IN IP6 2001:db8::1\r\n"
    "a=T38FaxVersion:3\r\na=T38MaxBitRate:33600\r\na=T38FaxFillBitRemoval\r\na=T38FaxTranscodingMMR\r\n"
    "a=T38FaxTranscodingJBIG\r\na=T38FaxRateManagement:localTCF\r\na=T38FaxMaxBuffer:2000\r\na=T38FaxMaxDatagram:400\r\n"
    "a=T38FaxMaxIFP:200\r\na=T38FaxUdpEC:t38UDPFEC\r\na=T38FaxUdpECDepth:1 3\r\na=T38FaxUdpFECMaxSpan:4\r\n"
    "a=T38VendorInfo:181 0 12\r\n"
)


def image(*attributes: str) -> T38:
    """Read a T.38 stream with these lines."""
    lines = "".join(f"a={each}\r\n" for each in attributes)
    (media,) = Description.parse(f"v=0\r\nm=image 4000 udptl t38\r\n{lines}".encode()).media
    return T38.of(media)


def test_every_attribute_of_t38_is_written_and_read_in_its_canonical_spelling() -> None:
    media = Media(
        kind="image",
        port=4000,
        protocol="udptl",
        formats=("t38",),
        host="2001:db8::1",
        attributes=FULL.attributes(),
    )
    description = Description(origin=Origin("-", 7, 2, "192.0.2.1"), host="192.0.2.1", media=(media,))
    assert description.octets().decode() == WRITTEN
    assert Description.parse(WRITTEN.encode()) == description
    assert T38.of(media) == FULL


@given(
    builds(
        T38,
        version=integers(0, 3),
        max_bit_rate=none() | integers(2400, 33600),
        fill_bit_removal=booleans(),
        transcoding_mmr=booleans(),
        transcoding_jbig=booleans(),
        tcf=sampled_from(TcfMethod),
        max_buffer=none() | integers(0, 99999),
        max_datagram=none() | integers(0, 99999),
        max_ifp=none() | integers(0, 99999),
        correction=none() | sampled_from(Correction),
        depth=none() | tuples(integers(0, 3), integers(3, 7)),
        fec_span=none() | integers(1, 7),
    )
)
def test_what_is_written_about_t38_is_what_is_read(t38: T38) -> None:
    assert T38.of(Media(kind="image", port=1, protocol="udptl", formats=("t38",), attributes=t38.attributes())) == t38


@pytest.mark.case("R07")
@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("T38FaxFillBitRemoval", T38(max_bit_rate=None, fill_bit_removal=True)),
        ("T38FaxFillBitRemoval:1", T38(max_bit_rate=None, fill_bit_removal=True)),
        ("t38faxfillbitremoval:0", T38(max_bit_rate=None)),
        ("T38FaxTranscodingMMR: 0", T38(max_bit_rate=None)),
        ("T38FAXTRANSCODINGJBIG:", T38(max_bit_rate=None, transcoding_jbig=True)),
        ("T38FaxRateManagement:localTFC", T38(max_bit_rate=None, tcf=TcfMethod.LOCAL)),
        ("T38FaxRateManagement:LocalTcf", T38(max_bit_rate=None, tcf=TcfMethod.LOCAL)),
        ("T38FaxRateManagement:transferredTFC", T38(max_bit_rate=None)),
        ("T38FaxUdpEC:t38UdpRedundancy", T38(max_bit_rate=None, correction=Correction.REDUNDANCY)),
        ("T38FaxUdpEc:T38UDPNOEC", T38(max_bit_rate=None, correction=Correction.NONE)),
        ("T38FaxUdpEC:rubbish", T38(max_bit_rate=None)),
        ("T38MaxBitrate:9600", T38(max_bit_rate=9600)),
        ("T38FaxMaxBitRate:9600", T38(max_bit_rate=9600)),
        ("T38MaxDatagram : 176", T38(max_bit_rate=None, max_datagram=176)),
        ("T38FaxMaxBuffer:72 octets", T38(max_bit_rate=None, max_buffer=72)),
        ("T38FaxMaxBuffer:99999999999", T38(max_bit_rate=None)),
        ("T38FaxMaxBuffer:-1", T38(max_bit_rate=None)),
        ("T38FaxUdpECDepth:2", T38(max_bit_rate=None, depth=(2, 2))),
        ("T38FaxUdpECDepth:x", T38(max_bit_rate=None)),
    ],
)
def test_t38_is_understood_as_it_is_misspelled(attribute: str, expected: T38) -> None:
    assert image(attribute) == expected


@pytest.mark.case("R07")
def test_of_several_error_corrections_the_first_known_one_counts() -> None:
    corrections = ("T38FaxUdpEC:none", "T38FaxUdpEC:t38UDPFEC", "T38FaxUdpEC:t38UDPRedundancy")
    assert image(*corrections).correction is Correction.FEC


def test_t38_attributes_that_stand_before_the_stream_count() -> None:
    (media,) = Description.parse(b"v=0\r\na=T38FaxVersion:2\r\na=x\r\nm=image 4000 udptl t38\r\n").media
    assert (T38.of(media).version, media.attribute("x")) == (2, None)


@pytest.mark.parametrize(
    ("ours", "offered", "answered"),
    [
        (T38(version=3), T38(version=0), T38(version=0)),
        (T38(version=0), T38(version=3), T38(version=0)),
        (T38(max_bit_rate=14400), T38(max_bit_rate=None), T38(max_bit_rate=14400)),
        (T38(max_bit_rate=14400), T38(max_bit_rate=9600), T38(max_bit_rate=9600)),
        (T38(fill_bit_removal=True, transcoding_mmr=True), T38(fill_bit_removal=True), T38(fill_bit_removal=True)),
        (T38(), T38(fill_bit_removal=True, transcoding_jbig=True), T38()),
        (T38(), T38(tcf=TcfMethod.LOCAL), T38(tcf=TcfMethod.LOCAL)),
        (T38(max_datagram=400), T38(max_datagram=72, max_buffer=9), T38(max_datagram=400)),
        (
            T38(correction=Correction.FEC, depth=(1, 3), fec_span=4),
            T38(correction=Correction.REDUNDANCY),
            T38(correction=Correction.REDUNDANCY, depth=(1, 3)),
        ),
        (
            T38(correction=Correction.REDUNDANCY),
            T38(correction=Correction.FEC),
            T38(correction=Correction.REDUNDANCY),
        ),
        (
            T38(correction=Correction.FEC, depth=(1, 3), fec_span=4),
            T38(correction=Correction.NONE),
            T38(correction=Correction.NONE),
        ),
        (T38(correction=Correction.FEC), T38(), T38()),
    ],
)
def test_an_answer_never_says_more_than_the_offer(ours: T38, offered: T38, answered: T38) -> None:
    assert ours.answer(offered) == answered


def test_their_sizes_hold_for_what_we_send() -> None:
    said = T38(max_buffer=1, max_datagram=72, max_ifp=2, depth=(0, 1), fec_span=5, vendor="1 2 3")
    ours = replace(FULL, version=0, tcf=TcfMethod.TRANSFERRED)
    both = ours.agreed(said)
    assert (both.max_buffer, both.max_datagram, both.max_ifp) == (1, 72, 2)
    assert (both.depth, both.fec_span, both.vendor) == ((0, 1), 5, "1 2 3")
    assert (both.max_bit_rate, both.fill_bit_removal) == (14400, False)


# --------------------------------------------------------------------------------------------------------- descriptions


def test_streams_addresses_and_directions_are_told_apart() -> None:
    description = Description.parse(
        b"v=0\no=user 123 456 IN IP4 host.example.com\ns=A call\nt=0 0\nc=IN IP4 192.0.2.1/127\na=sendonly\na=tool:x\n"
        b"m=audio 49170/2 RTP/AVP 0 8 101\nb=AS:64\na=rtpmap:101 telephone-event/8000\na=recvonly\n"
        b"m=IMAGE  40002/2  UDPTL  t38\nc=IN IP6 2001:db8::1\nm=application 0 TCP/BFCP *\n"
    )
    audio, fax, other = description.media
    assert (audio.kind, audio.port, audio.host, audio.formats) == ("audio", 49170, "192.0.2.1", ("0", "8", "101"))
    assert (audio.direction, fax.direction, fax.held, audio.held) == ("recvonly", "sendonly", True, False)
    assert (fax.kind, fax.port, fax.protocol, fax.host) == ("image", 40002, "UDPTL", "2001:db8::1")
    assert (other.port, other.formats) == (0, ("*",))
    assert description.origin == Origin("user", 123, 456, "host.example.com")
    assert (description.name, description.attributes) == ("A call", (("sendonly", None), ("tool", "x")))


@pytest.mark.parametrize(
    "octets",
    [
        b"m=image 4000 udptl t38\r\nc=IN IP4 192.0.2.1",
        b"\r\nv=0\rc=IN IP4 192.0.2.1\rm=image 4000 udptl t38\r",
        b"v=0\r\no=broken\r\nrubbish\r\nzz=1\r\n = \r\nc= IN  IP4   192.0.2.1 \r\nm = image 4000 udptl t38\r\n",
    ],
)
def test_a_sloppy_description_is_read(octets: bytes) -> None:
    (media,) = Description.parse(octets).media
    assert (media.port, media.host, media.held) == (4000, "192.0.2.1", False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_no_address_means_hold(host: str) -> None:
    assert Media(kind="audio", port=4000, protocol="RTP/AVP", formats=("0",), host=host).held


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"hello",
        b"v=0\r\nm=image\r\n",
        b"v=0\r\nm=image x udptl t38\r\n",
        b"v=0\r\nm=image 65536 udptl t38\r\n",
        b"v=0\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * (MOST_MEDIA + 1),
    ],
)
def test_what_makes_no_sense_is_refused(octets: bytes) -> None:
    with pytest.raises(SipMalformed):
        Description.parse(octets)


def test_no_value_becomes_a_second_line() -> None:
    description = Description(origin=Origin(), host="192.0.2.1", attributes=(("tool", "x\r\nm=audio 1 RTP/AVP 0"),))
    with pytest.raises(ValueError, match="a line end"):
        description.octets()


@given(binary(max_size=100) | text(alphabet="vocstma= 0123:/\r\nINP4imgeudtl", max_size=200).map(str.encode))
def test_no_octets_do_harm(octets: bytes) -> None:
    for noise in (octets, WRITTEN.encode() + octets, WRITTEN.encode()[:60] + octets + WRITTEN.encode()[60:]):
        try:
            description = Description.parse(noise)
        except SipMalformed:
            continue
        again = Description.parse(description.octets())
        assert [(each.port, each.host, each.kind) for each in again.media] == [
            (each.port, each.host, each.kind) for each in description.media
        ]
        assert [T38.of(each) for each in again.media] == [T38.of(each) for each in description.media]
