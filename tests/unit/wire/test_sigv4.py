# ruff: noqa: E501 - the vectors are tables
"""
The signature against AWS's published vectors.

The general ones are AWS's own suite (awslabs/aws-c-auth, tests/aws-signing-test-suite), those of
S3 from https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from fanout.wire.sigv4 import Credentials, sign

SUITE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SUITE_TIME = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
HOST = "https://example.amazonaws.com"
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = "application/x-www-form-urlencoded"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfI"
    "eoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0"
    "wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypN"
    "C9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)

VECTORS: list[tuple[str, str, str, dict[str, str], bytes, str]] = [
    # name, method, path, headers, body, signature
    ("vanilla", "GET", "/", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("no path", "GET", "", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("key duplicate", "GET", "/", {"My-Header1": "value2,value2,value1"}, b"", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
    ("value multiline", "GET", "/", {"My-Header1": "value1\n  value2\n     value3"}, b"", "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"),
    ("value order", "GET", "/", {"My-Header1": "value4,value1,value3,value2"}, b"", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"),
    ("value trim", "GET", "/", {"My-Header1": " value1", "My-Header2": ' "a   b   c"'}, b"", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
    ("unreserved", "GET", f"/{UNRESERVED}", {}, b"", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    ("utf8", "GET", "/\u1234", {}, b"", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    ("query", "GET", "/?Param1=value1", {}, b"", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
    ("query order encoded", "GET", "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1", {}, b"", "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"),
    ("query order key case", "GET", "/?Param2=value2&Param1=value1", {}, b"", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ("query order key", "GET", "/?Param1=value2&Param1=Value1", {}, b"", "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"),
    ("query order value", "GET", "/?Param1=value2&Param1=value1", {}, b"", "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"),
    ("query unreserved", "GET", f"/?{UNRESERVED}={UNRESERVED}", {}, b"", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"),
    ("query utf8", "GET", "/?\u1234=bar", {}, b"", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    ("relative relative", "GET", "/example1/example2/../..", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("relative", "GET", "/example/..", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("slash dot slash", "GET", "/./", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("pointless dot", "GET", "/./example", {}, b"", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"),
    ("slash", "GET", "//", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("slashes", "GET", "//example//", {}, b"", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
    ("space", "GET", "/example space/", {}, b"", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    ("special character", "GET", "/example/$delete", {}, b"", "a853c9b21b528b19643d00910d35b83a10c366a10833ceefb45edd6c80e40f27"),
    ("post", "POST", "/", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("post header", "POST", "/", {"My-Header1": "value1"}, b"", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
    ("post header case", "POST", "/", {"MY-HEADER1": "VALUE1"}, b"", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
    ("post query", "post", "/?Param1=value1", {}, b"", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
    ("post form", "POST", "/", {"Content-Type": FORM}, b"Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ("post form charset", "POST", "/", {"Content-Type": f"{FORM}; charset=utf8"}, b"Param1=value1", "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"),
]  # fmt: skip


def by_suite(method: str, path: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
    args = (body, SUITE, "us-east-1", "service", SUITE_TIME)
    return sign(method, HOST + path, headers, *args)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [pytest.param(*vector[1:], id=vector[0]) for vector in VECTORS],
)
def test_awss_own_vectors_have_the_published_signatures(
    method: str, path: str, headers: dict[str, str], body: bytes, signature: str
) -> None:
    names = ";".join(sorted({"host", "x-amz-date", *(name.lower() for name in headers)}))
    assert by_suite(method, path, headers, body) == {
        "x-amz-date": "20150830T123600Z",
        "authorization": (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            f"SignedHeaders={names}, Signature={signature}"
        ),
    }


def test_a_session_token_is_sent_and_signed() -> None:
    """The suite's `post-sts-header-before`."""
    credentials = Credentials(SUITE.access_key, SUITE.secret_key, TOKEN)
    added = sign("POST", f"{HOST}/", {}, b"", credentials, "us-east-1", "service", SUITE_TIME)
    assert added["x-amz-security-token"] == TOKEN
    assert added["authorization"].endswith(
        "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
    )


# ---- S3 ----

S3_HOST = "https://examplebucket.s3.amazonaws.com"
S3_CREDENTIALS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
S3_TIME = datetime(2013, 5, 24, tzinfo=UTC)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
PUT_HEADERS = {
    "Date": "Fri, 24 May 2013 00:00:00 GMT",
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
}
S3_VECTORS: list[tuple[str, str, str, dict[str, str], bytes, str, str]] = [
    ("get a range", "GET", "/test.txt", {"Range": "bytes=0-9"}, b"", EMPTY, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    ("put", "PUT", "/test%24file.text", PUT_HEADERS, b"Welcome to Amazon S3.", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    ("put, sent unescaped", "PUT", "/test$file.text", PUT_HEADERS, b"Welcome to Amazon S3.", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    ("lifecycle", "GET", "/?lifecycle", {}, b"", EMPTY, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ("list", "GET", "/?max-keys=2&prefix=J", {}, b"", EMPTY, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
]  # fmt: skip


def by_s3(method: str, path: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
    args = (body, S3_CREDENTIALS, "us-east-1", "s3", S3_TIME)
    return sign(method, S3_HOST + path, headers, *args)


def signature_of(added: dict[str, str]) -> str:
    return added["authorization"].rpartition("Signature=")[2]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "body_hash", "signature"),
    [pytest.param(*vector[1:], id=vector[0]) for vector in S3_VECTORS],
)
def test_s3s_examples_have_the_published_signatures(
    method: str, path: str, headers: dict[str, str], body: bytes, body_hash: str, signature: str
) -> None:
    added = by_s3(method, path, headers, body)
    assert added["x-amz-content-sha256"] == body_hash
    assert signature_of(added) == signature


def test_an_s3_key_keeps_its_slashes_and_dots() -> None:
    """Elsewhere `a//b/../c` is `a/c`; in S3 they are three objects."""
    signatures = {signature_of(by_s3("GET", path, {}, b"")) for path in ("/a//b/../c", "/a/c")}
    assert len(signatures) == 2
    one, other = (by_suite("GET", path, {}, b"") for path in ("/a//b/../c", "/a/c"))
    assert one == other


def test_an_s3_key_is_escaped_once_and_other_paths_twice() -> None:
    """So an escaped path is the same path for S3, but another one for Bedrock's model ids."""
    assert by_s3("GET", "/a b", {}, b"") == by_s3("GET", "/a%20b", {}, b"")
    assert by_suite("GET", "/model/a:0", {}, b"") != by_suite("GET", "/model/a%3A0", {}, b"")


def test_a_body_may_be_left_unsigned() -> None:
    unsigned = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    one, other = (by_s3("PUT", "/a", unsigned, body) for body in (b"one", b"other"))
    assert one == other
    assert one["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


# ---- what is signed ----


def names_of(added: dict[str, str]) -> str:
    return added["authorization"].split("SignedHeaders=")[1].split(",")[0]


def test_headers_that_change_on_the_way_are_not_signed() -> None:
    headers = {
        "User-Agent": "x", "Expect": "100-continue", "Connection": "close", "Authorization": "old",
        "X-Amzn-Trace-Id": "y", "Transfer-Encoding": "chunked", "Content-Type": "application/json",
    }  # fmt: skip
    assert names_of(by_suite("POST", "/", headers, b"")) == "content-type;host;x-amz-date"


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://EXAMPLE.amazonaws.com:443/", True),
        ("https://example.amazonaws.com:8443/", False),
        ("http://example.amazonaws.com:443/", False),
    ],
)
def test_the_host_is_signed_as_clients_send_it(url: str, *, same: bool) -> None:
    added = sign("GET", url, {}, b"", SUITE, "us-east-1", "service", SUITE_TIME)
    assert (added == by_suite("GET", "/", {}, b"")) is same


def test_a_given_host_header_is_signed() -> None:
    named = {"Host": "example.amazonaws.com"}
    added = sign("GET", "http://[::1]:9/", named, b"", SUITE, "us-east-1", "service", SUITE_TIME)
    assert added == by_suite("GET", "/", {}, b"")


def test_an_ipv6_address_is_signed_in_brackets() -> None:
    """As it is in the `host` header."""
    args: Any = (b"", SUITE, "us-east-1", "service", SUITE_TIME)
    named = sign("GET", HOST, {"host": "[::1]:9"}, *args)
    assert sign("GET", "http://[::1]:9/", {}, *args) == named


@pytest.mark.parametrize("change", ["method", "path", "header", "body", "region", "service", "day"])
def test_any_change_breaks_the_signature(change: str) -> None:
    def signed(changed: str = "") -> str:
        added = sign(
            "PUT" if changed == "method" else "POST",
            HOST + ("/b" if changed == "path" else "/a"),
            {"content-type": "x" if changed == "header" else "y"},
            b"1" if changed == "body" else b"2",
            SUITE,
            "eu-west-1" if changed == "region" else "us-east-1",
            "bedrock" if changed == "service" else "service",
            SUITE_TIME + timedelta(days=1 if changed == "day" else 0),
        )
        return signature_of(added)

    assert signed(change) != signed()
    assert signed() == signed()


def test_the_time_is_converted_to_utc_and_must_have_a_zone() -> None:
    there = SUITE_TIME.astimezone(timezone(timedelta(hours=9)))
    added = sign("GET", f"{HOST}/", {}, b"", SUITE, "us-east-1", "service", there)
    assert added == by_suite("GET", "/", {}, b"")
    with pytest.raises(ValueError, match="time zone"):
        sign("GET", HOST, {}, b"", SUITE, "r", "s", SUITE_TIME.replace(tzinfo=None))


def test_credentials_show_no_secret() -> None:
    credentials = Credentials("AKIDEXAMPLE", "top-secret", "a-token")
    for shown in (repr(credentials), str(credentials), f"{[credentials]}"):
        assert "top-secret" not in shown
        assert "a-token" not in shown
