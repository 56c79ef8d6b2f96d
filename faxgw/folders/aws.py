"""How a request to an S3-compatible store is signed (AWS Signature Version 4)."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote


def signed(
    method: str,
    *,
    host: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    content: bytes,
    region: str,
    key_id: str,
    secret: str,
    at: datetime,
) -> dict[str, str]:
    """Return all headers of a request, with its signature; ``path`` is escaped already, ``at`` is UTC."""
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    digest = sha256(content).hexdigest()
    sent = {name.lower(): value for name, value in headers.items()}
    sent |= {"host": host, "x-amz-date": stamp, "x-amz-content-sha256": digest}
    names = ";".join(sorted(sent))
    request = "\n".join(
        [method, path, in_order(query), *(f"{name}:{sent[name].strip()}" for name in sorted(sent)), "", names, digest]
    )
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    proof = f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return sent | {"authorization": proof}


def escaped(path: str) -> str:
    """Return a path as it is signed and sent."""
    return quote(path, safe="/-_.~")


def in_order(query: Mapping[str, str]) -> str:
    """Return a query as it is signed and sent."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
