"""Whatever stands in ossec.conf, a program gets a configuration or all the reasons why not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.config.sections import SECTIONS
from tests.fuzz.fuzz_ossec_conf import fuzz_ossec_conf

TEXTS = [
    "yes",
    "no",
    "",
    "1",
    "-1",
    "99999999999999999999",
    "10.0.0.0/8",
    "!any",
    "mon,tue",
    "a@b.c",
    "x\ny",
    "(",
    "/*",
]
TEXTS += ["secure", "syslog", "local", "multiline", "linux_auditd", "٣", "é", "$X", "1,2x;3", "periodic"]

elements = st.sampled_from([(section.name, name) for section in SECTIONS.values() for name in section.elements])


@st.composite
def configurations(draw: st.DrawFn) -> bytes:
    sections = []
    for _ in range(draw(st.integers(0, 4))):
        name, _ = draw(elements)
        children = draw(st.lists(st.sampled_from(sorted(SECTIONS[name].elements)), max_size=8))
        inner = "".join(f"<{child}>{draw(st.sampled_from(TEXTS))}</{child}>" for child in children)
        sections.append(f"<{name}>{inner}</{name}>")
    root = draw(st.sampled_from(["ossec_config", "agent_config"]))
    return f"<{root}>{''.join(sections)}</{root}>".encode()


@settings(max_examples=60, deadline=None)
@given(configurations())
def test_sections_with_any_values(data: bytes) -> None:
    fuzz_ossec_conf(data)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    fuzz_ossec_conf(b"<ossec_config>" + data + b"</ossec_config>")
