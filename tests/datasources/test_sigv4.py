"""Signatures are those that other implementations make."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode

import pytest

from datasources._sigv4 import Signer
from sandbox import keys
from sandbox.s3.signatures import Refused, check

SIGNER = Signer("minioadmin", "minioadmin", "us-east-1")
NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
HOST, PATH = "127.0.0.1:9000", "/files-dev/orders/42/receipt%201.pdf"
DISPOSITION = ("response-content-disposition", 'attachment; filename="r.pdf"')


@pytest.mark.parametrize(
    ("method", "extra", "signature"),
    [
        ("GET", [], "d02e5b41a4739785a40f20954931602d1f11eeb5051dfba6329bb2a4f5922c78"),
        ("PUT", [], "c2f7c80e5d95d4cce34a3f606c7970cc6b5dac8734d4add231984038c0b81020"),
        ("GET", [DISPOSITION], "81c91a5f4dfbd8299b6efe2945be1ea534c70df3ce185221f54ba048ecbb93c1"),
    ],
)
def test_a_signed_url_is_that_of_minios_own_client(method: str, extra: list[tuple[str, str]], signature: str) -> None:
    query = SIGNER.query(method, HOST, PATH, expires_s=900, now=NOW, extra=extra)
    assert parse_qs(query)["X-Amz-Signature"] == [signature]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/files/a%20b/%C3%BC%281%29%27~.pdf", []),
        ("/files/a", [("uploadId", "x/y+z=="), ("partNumber", "3")]),
        ("/files/a", [("uploads", "")]),
    ],
)
def test_botocore_makes_the_same_of_a_signed_request(path: str, query: list[tuple[str, str]]) -> None:
    signer = Signer(keys.MINIO_ACCESS_KEY, keys.MINIO_SECRET_KEY, "us-east-1")
    headers = signer.headers("PUT", HOST, path, query, {"Content-Type": "text/x;  a=b"}, "0" * 64, NOW)
    sent = {**{name.lower(): value for name, value in headers.items()}, "host": HOST}
    check("PUT", path, urlencode(query), sent, now=NOW)
    with pytest.raises(Refused):
        check("PUT", path, urlencode(query), {**sent, "content-type": "text/html"}, now=NOW)


def test_the_secret_is_not_told() -> None:
    assert "hush" not in repr(Signer("key", "hush", "us-east-1"))
