"""What a user did wrong, as opposed to what a line or a remote machine did."""


class RequestError(Exception):
    """Bad usage or bad input; commands end with exit code 2.

    Attributes:
        code: stable dotted name: ``usage`` or ``document.*`` (``document.encrypted``, ``document.empty``, ...).
        reason: one clear sentence that says what to do.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
