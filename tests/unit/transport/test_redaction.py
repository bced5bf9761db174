from __future__ import annotations

import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from fanout.transport.redaction import MAX_MESSAGE, redact

BASE = "https://internal.corp.example:8443/v1"


@pytest.mark.parametrize(
    "key",
    [
        "sk-abcdef123456",
        "sk-proj-abc_DEF-123456",
        "sk-ant-api03-abcdef",
        "gsk_abcdefgh12345",
        "xai-abcdefgh12345",
        "hf_abcdefgh12345",
        "AIzaSyA-1234567890abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "Bearer abc.def.ghi",
        "bearer anything-at-all",
        "sk-ab***********yz12",
    ],
)
def test_what_looks_like_a_key_is_removed(key: str) -> None:
    assert redact(f"Incorrect API key provided: {key}.").startswith("Incorrect API key provided: ")
    assert key not in redact(f"Incorrect API key provided: {key}.")
    assert "[key]" in redact(f"before '{key}' behind")
    assert redact(f"before '{key}' behind").endswith("' behind")


def test_the_calls_own_key_is_removed_whatever_it_looks_like() -> None:
    assert redact("the key hunter2hunter2 is wrong", ["hunter2hunter2"]) == "the key [key] is wrong"
    assert redact("one-two1 and three-four", ["one-two1", "three-four"]) == "[key] and [key]"


KEYS = ["sk+odd/key==", "päss wörd-key", "hunter2hunter2", "a/b+c~d%e&f?g", "Zm9vYmFyYmF6"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("encode", [quote, quote_plus, lambda key: quote(key, safe="")])
def test_an_url_encoded_key_is_removed(key: str, encode: Callable[[str], str]) -> None:
    text = f"https://x.example/?key={encode(key)}&a=1"
    assert redact(text, [key]) == "https://x.example/?key=[key]&a=1"
    text = re.sub("%..", lambda found: found[0].lower(), text)
    assert redact(text, [key]) == "https://x.example/?key=[key]&a=1"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("before", ["", ":", "me", "user:", "user1:"])
@pytest.mark.parametrize("behind", ["", ":", "ab", "xyz"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_a_key_in_base64_is_removed(
    key: str, before: str, behind: str, encode: Callable[[bytes], bytes]
) -> None:
    encoded = encode(f"{before}{key}{behind}".encode()).decode()
    assert redact(f"sent 'Basic {encoded}'.", [key]) == "sent 'Basic [key]'."
    stripped = encoded.rstrip("=")
    assert redact(f"sent 'Basic {stripped}'.", [key]) == "sent 'Basic [key]'."


def test_other_texts_in_base64_stay() -> None:
    text = b64encode(b"some picture or other").decode()
    assert redact(f"invalid image {text}", ["hunter2hunter2"]) == f"invalid image {text}"


@pytest.mark.parametrize("key", ["", "k", "none"])
def test_a_placeholder_key_changes_nothing(key: str) -> None:
    assert redact("none of the known models", [key]) == "none of the known models"


def test_the_base_url_and_its_host_are_removed() -> None:
    message = f"cannot POST {BASE}/chat/completions on internal.corp.example:8443"
    assert redact(message, base_url=BASE) == "cannot POST [address]/chat/completions on [address]"


def test_the_host_is_removed_without_its_port_too() -> None:
    message = "no route to Internal.Corp.Example (internal.corp.example.)"
    assert redact(message, base_url=BASE) == "no route to [address] ([address].)"
    other = "see docs.internal.corp.example and internal.corp.example.org"
    assert redact(other, base_url=BASE) == other


def test_a_host_that_is_a_word_is_removed_with_its_port_only() -> None:
    message = "ollama: no such model at ollama:11434"
    base = "http://ollama:11434/v1"
    assert redact(message, base_url=base) == "ollama: no such model at [address]"


@pytest.mark.parametrize(
    "name",
    ["arn:aws:sts::123456789012:assumed-role/gateway/x", "arn:aws-cn:bedrock:cn-north-1:1:model/m"],
)
def test_aws_resource_names_are_removed(name: str) -> None:
    """They have the account's number."""
    assert redact(f"User: {name} is not authorized") == "User: [arn] is not authorized"


@pytest.mark.parametrize("base", ["", "https://", "http:///v1"])
def test_a_base_url_without_a_host_changes_nothing(base: str) -> None:
    assert redact("no such model", base_url=base) == "no such model"


@pytest.mark.parametrize(
    "address", ["10.0.0.7", "10.0.0.7:8080", "http://10.0.0.7:8080/v1/chat", "https://10.0.0.7/x?y"]
)
def test_an_ip_address_is_removed_with_its_path(address: str) -> None:
    assert redact(f"upstream {address} said no") == "upstream [address] said no"


@pytest.mark.parametrize(
    "text",
    [
        "The model `gpt-4o` does not exist",
        "maximum context length is 8192 tokens, 9000 asked",
        "Invalid schema for function 'get_weather': see https://platform.openai.com/docs",
        "version 1.2.3 is not known",
        "risk-averse people ask for a task-force",
        "",
    ],
)
def test_other_text_is_unchanged(text: str) -> None:
    assert redact(text, ["sk-other-key-1"], BASE) == text


def test_a_long_message_is_cut() -> None:
    assert redact("x" * 5_000) == "x" * MAX_MESSAGE + "…"
    assert redact("x" * MAX_MESSAGE) == "x" * MAX_MESSAGE


def test_a_key_beside_itself_in_base64_is_removed() -> None:
    key = "sk-odd+ODD/1234567"
    encoded = b64encode(f"user:{key}".encode()).decode()
    for text in (f"{key}{encoded}", f"{encoded}{key}", f"{encoded}.{encoded}", f"_{encoded}-"):
        found = redact(text, [key])
        assert key not in found
        assert encoded[8:20] not in found


@pytest.mark.parametrize("piece", ["T", "Ta", "a_", "1", "-", "/", "sk-", "sk-a ", "arn:aws", "1."])
def test_a_long_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        began = time.process_time()
        redact(text, ["k12345678901"], "https://host.example/v1")
        return time.process_time() - began

    seconds(100)  # compiles the patterns
    short = min(seconds(4_000) for _ in range(3))
    assert min(seconds(64_000) for _ in range(3)) < 16 * max(short, 0.001) * 6
