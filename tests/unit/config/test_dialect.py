"""OSSEC's dialect of XML, against what OSSEC's own reader made of the same bytes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ossec.config import dialect

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "config" / "xml.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]


def data_of(case: dict[str, Any]) -> bytes:
    if "input_b64" in case:
        return base64.b64decode(case["input_b64"])
    if "input_parts" in case:
        return "".join(text * times for text, times in case["input_parts"]).encode()
    return str(case["input"]).encode()


def tree_of(nodes: list[dialect.Node]) -> list[dict[str, Any]]:
    def seen(text: str) -> str:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")

    return [
        {
            "element": seen(node.name),
            "content": seen(node.text),
            "attributes": [[seen(key), seen(value)] for key, value in node.attributes],
            "children": tree_of(node.children),
        }
        for node in nodes
    ]


def summary_of(roots: list[dialect.Node]) -> dict[str, Any]:
    depth, node = 1, roots[0]
    while node.children:
        depth, node = depth + 1, node.children[0]
    return {
        "depth": depth,
        "innermost_element_len": len(node.name),
        "innermost_content_len": len(node.text),
        "innermost_attr_value_lens": [len(value) for _, value in node.attributes],
        "root_content_len": len(roots[0].text),
    }


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_reads_what_ossec_reads(case: dict[str, Any]) -> None:
    result = case["result"]
    wanted_error = result.get("error")
    try:
        roots = dialect.parse(data_of(case), "f.xml", variables=case["apply_variables"])
    except dialect.DialectError as error:
        assert f"XMLERR: {error.reason}" == wanted_error
        assert error.reader_line == result["error_line"]
        assert error.variables is (result.get("apply_variables") == -1)
        return
    assert wanted_error is None
    if "tree_summary" in result:
        assert summary_of(roots) == result["tree_summary"]
    else:
        assert tree_of(roots) == result["tree"]


def test_a_node_knows_the_line_where_its_tag_begins() -> None:
    data = b'<?xml version="1.0"\n?>\n<!-- a\n--\n -->text\n<a\n b="1\n2"\n>\n <c>x</c>\n</a>\n<d/>\n'
    roots = dialect.parse(data, "f.xml")
    assert [(node.name, node.line) for node in roots] == [("a", 6), ("d", 12)]
    assert [(node.name, node.line) for node in roots[0].children] == [("c", 10)]
    assert roots[0].attributes == [("b", "1\n2")]


def test_lines_stay_right_beyond_16_bits() -> None:
    count = 70_000
    roots = dialect.parse(b"<a>\n</a>\n" * (count // 2) + b'<b c="1"/>', "f.xml")
    assert roots[-1].line == count + 1
    assert roots[-1].attributes == [("c", "1")]
    assert roots[-2].line == count - 1


def test_a_missing_file_is_an_error_of_the_dialect(tmp_path: Path) -> None:
    with pytest.raises(dialect.DialectError) as caught:
        dialect.read(tmp_path / "no.xml")
    assert caught.value.reason == f"File '{tmp_path / 'no.xml'}' not found."
    assert caught.value.code == 1226


def test_ossec_and_we_may_differ_about_the_line() -> None:
    with pytest.raises(dialect.DialectError) as caught:
        dialect.parse(b"<!-- --\n-->\n<a></b>", "f.xml")
    assert (caught.value.line, caught.value.reader_line) == (3, 4)
    assert str(caught.value) == "f.xml:3: Element 'a' not closed."
    assert caught.value.upstream == "ERROR: Error reading XML file 'f.xml': XMLERR: Element 'a' not closed. (line 4)."
