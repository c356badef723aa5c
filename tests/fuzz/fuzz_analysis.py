"""Any datagram on the event queue is judged or dropped, and what it writes can be read again."""

from __future__ import annotations

import atexit
import functools
import logging
import shutil
import tempfile
from pathlib import Path

from ossec.analysisd.assembly import Assembly
from ossec.analysisd.numbers import AlertNumbers
from ossec.analysisd.pipeline import Analysis
from ossec.config import load
from ossec.config.internal import InternalOptions
from ossec.layout import Layout, data_dir
from ossec.messages import alert_json
from ossec.messages.alert import AlertReader
from tests.support import make_bare_home

NOW = 1700000000
KINDS = (b"1", b"2", b"3", b"8", b"9", b"a", b"z")
LOCATIONS = (b"/var/log/x", b"(web) 10.0.0.1->/var/log/x", b"syscheck", b"(web) 10.0.0.1->syscheck", b"")
HEADS = (
    b"",
    b"Nov 14 22:13:20 h sshd[1]: ",
    b"Nov 14 22:13:20 h app[1]: ",
    b'1 2026-11-22T03:58:11Z h app 1 - [a k="',
    b"2026-11-22 03:58:11.1 h app[1]: ",
    b"1:33188:0:0:a:b /etc/x",
    b"Host: 1.2.3.4, ",
)


@functools.cache
def make_analysis() -> tuple[Analysis, Layout]:
    """Our own decoders and rules, and two that take whatever there is; every output on."""
    directory = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    layout = make_bare_home(Path(directory) / "home")
    source = data_dir() / "etc"
    shutil.copytree(source / "rules", layout.rules_dir, dirs_exist_ok=True)
    shutil.copy(source / "decoder.xml", layout.decoder_xml)
    layout.local_decoder_xml.write_text(
        '<decoder name="fuzz"><program_name>^app</program_name>'
        "<regex>^(\\S+) (\\S+) (\\S+) (\\.*)</regex><order>user, srcip, filename, anything</order></decoder>"
    )
    (layout.rules_dir / "zz_fuzz.xml").write_text(
        '<group name="fuzz,">'
        '<rule id="109990" level="3"><decoded_as>fuzz</decoded_as><description>d</description></rule>'
        '<rule id="109991" level="3"><category>ossec</category><description>d</description></rule></group>'
    )
    names = [line.split("#")[0].strip() for line in (source / "rules.list").read_text().splitlines()]
    includes = "".join(f"<include>{name}</include>" for name in names if name)
    layout.ossec_conf.write_text(
        "<ossec_config><global><logall>yes</logall><logall_json>yes</logall_json><jsonout_output>yes</jsonout_output>"
        f"</global><rules>{includes}<include>zz_fuzz.xml</include></rules>"
        "<syscheck><alert_new_files>yes</alert_new_files></syscheck>"
        "<command><name>x</name><executable>x.sh</executable><expect>user,srcip,filename</expect></command>"
        "<active-response><command>x</command><location>local,all</location><level>1</level></active-response>"
        "</ossec_config>"
    )
    assembly = Assembly(layout, name=b"host")
    internal = InternalOptions.load(layout, quiet=True)
    parts = assembly.load(load(layout), internal)
    return assembly.build(parts, AlertNumbers(None).next, NOW), layout


def fuzz_analysis(data: bytes) -> None:
    """Nothing is raised; alerts.log has as many alerts as were written, alerts.json as many objects."""
    logging.disable()  # strangers' bytes would fill the log
    try:
        _judge(data)
    finally:
        logging.disable(logging.NOTSET)


def _judge(data: bytes) -> None:
    analysis, layout = make_analysis()
    files = [layout.alerts_log, layout.alerts_json]
    sizes = [path.stat().st_size for path in files]
    before = analysis.counters.alerts
    choice = data[0] if data else 0
    built = b"%b:%b:%b%b" % (
        KINDS[choice % len(KINDS)],
        LOCATIONS[choice // 7 % len(LOCATIONS)],
        HEADS[choice // 35 % len(HEADS)],
        data[1:],
    )
    responses = analysis.receive([data, built], NOW)
    analysis.outputs.flush()
    written = analysis.counters.alerts - before
    texts = [path.read_bytes()[size:] for path, size in zip(files, sizes, strict=True)]
    reader = AlertReader()
    assert len(reader.feed(texts[0])) == written
    assert reader.dropped == 0
    lines = texts[1].split(b"\n")[:-1]
    assert len(lines) == written
    for line in lines:
        alert_json.parse(line)
        line.decode("utf-8")
    assert all(one.datagram.endswith(b"\0") and b"\0" not in one.datagram[:-1] for one in responses)
    for path in (*files, layout.archives_dir / "archives.log", layout.archives_dir / "archives.json"):
        if path.stat().st_size > 1_000_000:
            with path.open("r+b") as file:
                file.truncate(0)
