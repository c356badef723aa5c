"""What execd takes from ossec.conf."""

from __future__ import annotations

from pathlib import Path

import pytest

from ossec.config import dialect
from ossec.execd import settings


def choose(*blocks: str) -> settings.Settings:
    inside = "".join(f"<active-response>{block}</active-response>" for block in blocks)
    return settings.choose(dialect.parse(f"<ossec_config>{inside}</ossec_config>".encode()), "ossec.conf")


YES = "<disabled>yes</disabled>"
NO = "<disabled>no</disabled>"
FW = "<command>fw</command><location>local</location>"


@pytest.mark.parametrize(
    ("blocks", "disabled"),
    [
        ((), False),
        ((YES,), True),
        ((NO,), False),
        ((YES, YES), True),
        ((YES, NO), False),
        ((YES, FW), False),
        ((FW + YES, FW), False),
        ((FW + YES, FW + YES), True),
        ((FW, YES), False),
        ((YES, "<repeated_offenders>1</repeated_offenders>"), True),
    ],
)
def test_execd_is_off_when_no_block_is_on(blocks: tuple[str, ...], disabled: bool) -> None:
    assert choose(*blocks).disabled is disabled


def test_offenders_may_stand_in_any_block() -> None:
    assert choose(FW, "<repeated_offenders>30,60,120</repeated_offenders>").offenders == (30, 60, 120)


@pytest.mark.parametrize(
    ("text", "steps"),
    [("", ()), ("0", (0,)), (" 10, 20 ,x,30", (10, 20, 0, 30)), ("1,2,3,4,5,6,7", (1, 2, 3, 4, 5)), ("-1", (-1,)),
     ("9" * 5000, (999_999_999,))],
)  # fmt: skip
def test_offenders_are_read_as_ossec_does(text: str, steps: tuple[int, ...]) -> None:
    assert settings.parse_offenders(text) == steps


def test_a_mistake_is_said_as_ossec_says_it_and_then_where(tmp_path: Path) -> None:
    path = tmp_path / "ossec.conf"
    path.write_text(
        "<ossec_config>\n<active-response>\n<disabled>maybe</disabled>\n</active-response>\n</ossec_config>\n"
    )
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(path)
    assert caught.value.lines == [
        "ossec-execd(1235): ERROR: Invalid value for element 'disabled': maybe.",
        f"ossec-execd(1202): ERROR: Configuration error at '{path}'. Exiting.",
        f"ossec-execd: ERROR: {path}:3: <disabled> wants yes or no, got 'maybe'",
    ]


def test_broken_xml_is_said_as_ossec_says_it(tmp_path: Path) -> None:
    path = tmp_path / "ossec.conf"
    path.write_text("<ossec_config>\n<a>\n</ossec_config>\n")
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(path)
    assert caught.value.lines[0] == (
        f"ossec-execd(1226): ERROR: Error reading XML file '{path}': XMLERR: Element 'a' not closed. (line 3)."
    )
