"""What a rule says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.analysisd.engine_support import make_engine

RULE = r"""<rule id="100" level="3"><decoded_as>app</decoded_as><description>x</description></rule>
<rule id="101" level="3" frequency="4" timeframe="60"><if_matched_sid>100</if_matched_sid>
<match>one|two</match><pcre2>^(?!x)</pcre2><user>root</user><srcip>!10.0.0.0/8</srcip><srcip>192.0.2.1</srcip>
<field name="a.b">\d+</field><hostname_pcre2>^web</hostname_pcre2><action>drop</action><time>8-17</time>
<description>y</description></rule>"""


@pytest.mark.parametrize(
    ("element", "wanted"),
    [
        ("match", "one|two"),
        ("regex", "^(?!x)"),
        ("user", "root"),
        ("srcip", "!10.0.0.0/8 192.0.2.1"),
        ("field", r"a.b: \d+"),
        ("hostname", "^web"),
        ("action", "drop"),
        ("frequency", "4 in 60 s"),
        ("time", None),
        ("dstip", None),
    ],
)
def test_what_an_element_wants(tmp_path: Path, element: str, wanted: str | None) -> None:
    assert make_engine(tmp_path, RULE).rules.by_id[101].wants(element) == wanted


def test_what_a_decoder_is_wanted(tmp_path: Path) -> None:
    assert make_engine(tmp_path, RULE).rules.by_id[100].wants("decoded_as") == "app"
