"""Whom carriers to folders believe, and which TLS they speak."""

import ssl

from faxgw.errors import RequestError
from faxgw.tls import CIPHERS_1_2
from faxgw.webhooks.posting import tls_context


def trusting(authorities: str) -> ssl.SSLContext:
    """Return the rules of TLS: what public authorities have signed, and what these have, or these themselves.

    Raises:
        RequestError: ``target.authorities`` for what is no certificate.
    """
    context = tls_context(None)
    context.set_ciphers(CIPHERS_1_2)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if authorities.strip():
        try:
            context.load_verify_locations(cadata=authorities)
        except (ssl.SSLError, ValueError) as error:
            raise RequestError("target.authorities", "The authorities are no certificates in PEM.") from error
    return context
