"""Enrolment: the words in both directions, whose certificate it is, who asks too often."""

from __future__ import annotations

import datetime
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.agents.enrol import names_host
from ossec.authd import certificate, password
from ossec.authd.core import MAX_ADDRESSES, RATE_CAPACITY, RateLimit
from ossec.errors import ConfigError
from ossec.messages import enrolment
from tests.fuzz.fuzz_enrolment import fuzz_enrolment

NAME = st.text(st.characters(codec="utf-8", exclude_characters="'\n"), max_size=130)
PASSWORD = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=40)


@given(NAME, st.none() | PASSWORD)
def test_a_request_is_read_as_it_was_written(name: str, secret: str | None) -> None:
    data = enrolment.encode_request(name, secret)
    assert enrolment.is_complete(data)
    assert enrolment.decode_request(data, secret) == name


@given(NAME, PASSWORD, PASSWORD)
def test_another_password_is_none(name: str, secret: str, other: str) -> None:
    data = enrolment.encode_request(name, other)
    if secret != other and not f"{other} ".startswith(f"{secret} "):
        with pytest.raises(enrolment.BadPassword):
            enrolment.decode_request(data, secret)


@given(st.from_regex(r"[0-9]{3,8} [A-Za-z0-9._-]{2,128} any [0-9a-f]{64}", fullmatch=True), st.lists(NAME, max_size=3))
def test_answers_are_read_as_they_were_written(line: str, errors: list[str]) -> None:
    assert enrolment.decode_reply(enrolment.encode_key(line)).key == line
    reply = enrolment.decode_reply(enrolment.encode_errors(*errors))
    assert (reply.key, reply.errors) == (None, (*errors, "Unable to add agent."))


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda rest: b"OSSEC A:'" + rest))
def test_any_bytes_end_in_an_answer(data: bytes) -> None:
    fuzz_enrolment(data)


@pytest.mark.parametrize("data", [b"s3cret", b"s3cret\n", b"s3cret\r\n", b"s3cret\nmore\n"])
def test_the_password_is_the_line_whatever_ends_it(data: bytes) -> None:
    assert password.parse(data, "authd.pass") == "s3cret"
    with pytest.raises(ConfigError):
        password.parse(b"\n" + data, "authd.pass")


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("siem.example.org", True),
        ("SIEM.example.org", True),
        ("192.0.2.5", True),
        ("2001:db8:0::5", True),
        ("example.org", False),
        ("siem.example.org.evil.net", False),
        ("192.0.2.50", False),
        ("127.0.0.1", False),
        ("a.wild.example.org", True),
        ("a.b.wild.example.org", False),
        ("wild.example.org", False),
    ],
)
def test_a_certificate_is_for_the_names_in_it(host: str, fits: bool) -> None:
    names = (("DNS", "siem.example.org"), ("DNS", "*.wild.example.org"), ("IP Address", "192.0.2.5"))
    value = {"subjectAltName": (*names, ("IP Address", "2001:DB8:0:0:0:0:0:5"))}
    assert names_host(value, host) is fits


def test_the_common_name_counts_and_a_wide_star_does_not() -> None:
    assert names_host({"subject": ((("commonName", "192.0.2.5"),),)}, "192.0.2.5")
    assert not names_host({"subject": ((("commonName", "*"),),)}, "siem")
    assert not names_host({"subject": ((("commonName", "*.org"),),)}, "example.org")


def test_our_certificate_names_the_machine() -> None:
    now = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    pem, key = certificate.make("h" * 80 + ".example.org", ["192.0.2.5", "2001:db8::5"], now)
    context = ssl.create_default_context(cadata=pem.decode())
    [loaded] = context.get_ca_certs()
    assert names_host(loaded, "192.0.2.5")
    assert names_host(loaded, "h" * 80 + ".example.org")
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert len(certificate.fingerprint(pem)) == 64
    with pytest.raises(ConfigError):
        certificate.fingerprint(b"junk")


def test_an_address_is_served_so_often_and_again_later() -> None:
    limit = RateLimit()
    assert sum(limit.admit("192.0.2.1", 0.0) for _ in range(100)) == RATE_CAPACITY
    assert limit.admit("192.0.2.2", 0.0), "others are not concerned"
    assert limit.first_refusal("192.0.2.1")
    assert not limit.first_refusal("192.0.2.1")
    assert not limit.admit("192.0.2.1", 1.0)
    assert limit.admit("192.0.2.1", 2.5)
    assert limit.first_refusal("192.0.2.1"), "said again when it happens again"


def test_one_ipv6_customer_is_one_address() -> None:
    limit = RateLimit()
    assert sum(limit.admit(f"2001:db8::{number:x}", 0.0) for number in range(100)) == RATE_CAPACITY
    assert limit.admit("2001:db8:1::1", 0.0)


def test_the_table_of_addresses_is_bounded() -> None:
    limit = RateLimit()
    for number in range(MAX_ADDRESSES + 100):
        limit.admit(f"host{number}", 0.0)
    assert len(limit._buckets) == MAX_ADDRESSES


def test_enrolling_costs_nothing() -> None:
    limit = RateLimit()
    for _ in range(1000):
        assert limit.admit("192.0.2.1", 0.0)
        limit.refund("192.0.2.1", 0.0)
    assert sum(limit.admit("192.0.2.1", 0.0) for _ in range(100)) == RATE_CAPACITY
