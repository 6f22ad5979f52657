"""Secrets and personal data are gone from messages before these are stored; what only looks like them stays."""

from __future__ import annotations

import itertools
import json

import pytest

from storage.content_policy import ContentPolicy, PolicyError, Redaction, built_in
from storage.embedded import EmbeddedStore
from tests.content.sending import chat, send, texts

CLEANED = {
    "mail bob.smith+x@mail.example.co.uk now": "mail [email] now",
    "new\nline:\nbob@example.com": "new\nline:\n[email]",
    "call 415-555-2671 or (415) 555-2671": "call [phone] or [phone]",
    "call +1 415 555 2671, +49 30 901820, +442079460958": "call [phone], [phone], [phone]",
    "card 4111 1111 1111 1111 and 378282246310005": "card [credit_card] and [credit_card]",
    "card\n5555555555554444": "card\n[credit_card]",
    "order 4111111111111112, paid with 4111-1111-1111-1111": "order 4111111111111112, paid with [credit_card]",
    "pay to DE89 3704 0044 0532 0130 00 please": "pay to [iban] please",
    "GB29NWBK60161331926819": "[iban]",
    "SSN 078-05-1120.": "SSN [ssn].",
    "from 203.0.113.77:443 to 2001:db8:85a3::8a2e:370:7334": "from [ip_address]:443 to [ip_address]",
    "key sk-proj-4fG7hJ2kL9mN3pQ6rS8tU1vW5xY0zA2bC": "key [api_key]",
    "key\nsk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789": "key\n[api_key]",
    "aws AKIAIOSFODNN7EXAMPLE": "aws [aws_key]",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a": "[github_token]",
    "xoxb-2445243543-abcdefGHIJKL": "[slack_token]",
    "maps AIzaSyA1234567890abcdefghijklmnopqrstuv": "maps [google_key]",
    "Authorization: Bearer abcdef0123456789ABCDEF.xyz": "Authorization: Bearer [token]",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9": "[jwt]",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA75\n-----END RSA PRIVATE KEY-----\nthat is it": "[private_key]\nthat is it",
}
LEFT_ALONE = (
    "meet @bob at 10.30, see a@b and x@",
    "call 555-2671 on 2026-11-23, order 415-5552671-9",
    "order 4111 1111 1111, id 1234567890123456, hash 9999888877776666",
    "order 4111111111111112, batch 5500 0000 0000 0005\norder\n378282246310006",
    "part DE89-XYZ, ISBN 978-3-16-148410-0",
    "range 900-12-3456 and 000-12-3456",
    "version 1.2.3, 10.30.2026, std::vector, 12:30:45, 300.1.1.1",
    "the task-force uses sk-learn, risk-assessment-of-something-very-long-indeed",
    "AKIA is a prefix, ghp_short, xoxb- too, bearer of good news",
    "PRIVATE KEY is two words; eyJ is the start of JSON",
    "2 + 2 = 4, +5 more, 100-200-300",
)
_tenants = itertools.count()


def stored(store: EmbeddedStore, *written: str) -> list[str]:
    """What is stored of messages with these texts."""
    tenant = f"redaction-{next(_tenants)}"
    send(store, tenant, chat(*written))
    return [json.loads(message)["parts"][0]["content"] for message in texts(store, tenant)]


def test_secrets_and_personal_data_are_replaced(llm_store: EmbeddedStore) -> None:
    assert stored(llm_store, *CLEANED) == list(CLEANED.values())


def test_what_only_looks_like_a_secret_stays(llm_store: EmbeddedStore) -> None:
    assert stored(llm_store, *LEFT_ALONE) == list(LEFT_ALONE)


def test_every_redaction_is_tried_here() -> None:
    assert all(
        any(f"[{rule.name}]" in text or rule.name == "bearer_token" for text in CLEANED.values()) for rule in built_in()
    )


def test_an_operators_pattern_holds_from_the_next_insert_on(policy_store: EmbeddedStore) -> None:
    rule = Redaction("customer", r"\bCUST-\d{6}\b")
    assert stored(policy_store, "about CUST-123456") == ["about CUST-123456"]
    assert ContentPolicy(redactions=(rule,)).load(policy_store)
    assert stored(policy_store, "about CUST-123456, bob@example.com") == ["about [customer], [email]"]


def test_an_operators_pattern_may_ask_for_a_check_digit(policy_store: EmbeddedStore) -> None:
    rule = Redaction("imei", r"\b\d{15}\b", check="luhn")
    assert ContentPolicy(redactions=(rule,)).load(policy_store)
    assert stored(policy_store, "490154203237518 not 490154203237519") == ["[imei] not 490154203237519"]
    with pytest.raises(PolicyError, match="'imei' has the check 'crc'; there is luhn, or none"):
        ContentPolicy(redactions=(Redaction("imei", r"\d{15}", check="crc"),)).load(policy_store)


@pytest.mark.parametrize("pattern", ["(", r"(?=x)", "a*"])
def test_a_pattern_that_cannot_be_used_is_named_and_changes_nothing(policy_store: EmbeddedStore, pattern: str) -> None:
    with pytest.raises(PolicyError, match="'customer'"):
        ContentPolicy(redactions=(Redaction("customer", pattern),)).load(policy_store)
    assert stored(policy_store, "still bob@example.com") == ["still [email]"]
