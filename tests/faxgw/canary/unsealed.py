"""``faxgw`` with its seals off: what is sealed lies there in clear. It shows that the search would find it."""

from faxgw.cli import main
from faxgw.keys import sealing, values

TAG = bytes(sealing.TAG)


class Clear:
    """A cipher that leaves everything as it is."""

    def __init__(self, key: bytes) -> None:
        del key

    def encrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes) -> bytes:
        """Return the data, with no tag."""
        del nonce, associated_data
        return bytes(data) + TAG

    def decrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes) -> bytes:
        """Return the data."""
        del nonce, associated_data
        return bytes(data[: -len(TAG)])


class ClearAlike:
    """A cipher without a nonce that leaves everything as it is."""

    def __init__(self, key: bytes) -> None:
        del key

    def encrypt(self, data: bytes, associated_data: list[bytes]) -> bytes:
        """Return the data."""
        del associated_data
        return data

    def decrypt(self, data: bytes, associated_data: list[bytes]) -> bytes:
        """Return the data."""
        del associated_data
        return data


if __name__ == "__main__":
    vars(sealing)["AESGCM"] = Clear
    vars(values).update(AESGCM=Clear, AESSIV=ClearAlike)
    main()
