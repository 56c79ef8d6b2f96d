"""What people call themselves, and the secrets that they choose: read and refused in one place."""

import secrets

from faxgw.errors import RequestError

MIN_PASSWORD = 10
MOST_PASSWORD = 1000
MOST_EMAIL = 254


def read_email(text: str) -> str:
    """Return a mail address as it is kept: small letters, so that one person has one account.

    Raises:
        RequestError: ``people.email``.
    """
    email = text.strip().lower()
    user, at, host = email.rpartition("@")
    unprintable = any(each.isspace() or not each.isprintable() for each in email)
    if not (user and at and host) or unprintable or len(email) > MOST_EMAIL:
        raise RequestError("people.email", f"{text[:MOST_EMAIL]!r} is no mail address.")
    return email


def check_password(password: str) -> None:
    """Refuse a password that is too short to be kept a secret.

    Raises:
        RequestError: ``people.password``.
    """
    if not MIN_PASSWORD <= len(password) <= MOST_PASSWORD:
        example = secrets.token_urlsafe(15)
        raise RequestError("people.password", f"A password has {MIN_PASSWORD} characters or more, such as {example}.")
