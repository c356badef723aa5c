"""Where addresses are: in alerts, in JSON, in rules."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from ossec.analysisd.geoip import GeoIP, describe, open_database
from ossec.messages import alert_json
from ossec.messages.alert import AlertReader
from tests.unit.analysisd import mmdb
from tests.vectors.analysis.daemon_support import Daemon

NOW = 1700000000
US = {"country": {"iso_code": "US"}, "subdivisions": [{"iso_code": "CA"}]}
NY = {"country": {"iso_code": "US"}, "subdivisions": [{"iso_code": "NY"}]}
NETWORKS = {
    "1.1.0.0/16": US,
    "192.0.2.0/24": {"country": {"iso_code": "DE"}},
    "8.8.8.8/32": {"continent": {}},
    "2.2.0.0/16": NY,
}
CASE: dict[str, Any] = {
    "decoder.xml": '<decoder name="app"><program_name>^app</program_name><regex>from (\\S+) to (\\S+)</regex>'
    "<order>srcip, dstip</order></decoder>"
    '<decoder name="other"><prematch>^OTHER</prematch></decoder>',
    "rules": {
        "t.xml": '<group name="syslog,"><rule id="1" level="3"><category>syslog</category><description>a</description>'
        '</rule><rule id="10" level="5"><if_sid>1</if_sid><srcgeoip>^US</srcgeoip><description>b</description></rule>'
        '<rule id="11" level="9" frequency="0" timeframe="60"><if_matched_sid>10</if_matched_sid><different_srcgeoip />'
        "<description>c</description></rule></group>"
    },
    "events": [{"time": NOW, "alerts.json": ""}],
    "global_section": "<geoipdb>etc/geo.mmdb</geoipdb>",
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "home" / "etc" / "geo.mmdb"
    path.parent.mkdir(parents=True)
    path.write_bytes(mmdb.encode(NETWORKS))
    return path


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (b"1.1.2.3", b"US / CA"),
        (b"192.0.2.9", b"DE"),
        (b"8.8.8.8", b"-"),
        (b"9.9.9.9", b"-"),
        (b"host", b"-"),
        (b"\xff", b"-"),
    ],
)
def test_an_address_is_placed(database: Path, address: bytes, place: bytes) -> None:
    geoip = GeoIP(database)
    assert geoip.find(address) == place
    geoip.close()


@pytest.mark.parametrize("record", [None, [], {"country": 3}, {"country": {"iso_code": 4}}, {"subdivisions": {}}])
def test_an_odd_record_is_no_place(record: object) -> None:
    assert describe(record) == b"-"


def test_places_stand_in_alerts_and_decide_in_rules(database: Path, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "home", CASE, geoip_jsonout=1)
    daemon.analysis.receive([b"1:/a:Nov 14 22:13:20 h app: from 1.1.1.1 to 192.0.2.1"], NOW)
    daemon.analysis.outputs.flush()
    record = daemon.layout.alerts_log.read_bytes()
    assert b"Src IP: 1.1.1.1\nSrc Location: US / CA\nDst IP: 192.0.2.1\nDst Location: DE\n" in record
    (alert,) = AlertReader().feed(record)
    assert (alert.rule, alert.src_location, alert.dst_location) == (10, b"US / CA", b"DE")
    keys = list(alert_json.parse(daemon.layout.alerts_json.read_bytes()))
    assert keys[keys.index("srcip") :][:4] == ["srcip", "srcgeoip", "dstip", "dstgeoip"]


@pytest.mark.parametrize("compat", [0, 1])
@pytest.mark.parametrize(("second", "rules"), [(b"2.2.2.2", [10, 11]), (b"1.1.9.9", [10, 10])])
def test_different_places_count(database: Path, tmp_path: Path, second: bytes, rules: list[int], compat: int) -> None:
    daemon = Daemon(tmp_path / "home", CASE, ossec_compat=compat)
    for address in (b"1.1.1.1", second):
        daemon.analysis.receive([b"1:/a:Nov 14 22:13:20 h app: from %b to 192.0.2.1" % address], NOW)
    daemon.analysis.outputs.flush()
    assert [alert.rule for alert in AlertReader().feed(daemon.layout.alerts_log.read_bytes())] == rules


def test_without_database_nothing_is_placed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    daemon = Daemon(tmp_path / "home", CASE)
    assert daemon.analysis.geoip is None
    assert "alerts go without" in caplog.text
    daemon.analysis.receive([b"1:/a:Nov 14 22:13:20 h app: from 1.1.1.1 to 192.0.2.1"], NOW)
    daemon.analysis.outputs.flush()
    (alert,) = AlertReader().feed(daemon.layout.alerts_log.read_bytes())
    assert (alert.rule, alert.src_location) == (1, None)


def test_garbage_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"garbage")
    assert open_database(tmp_path / "x") is None
    assert open_database(None) is None


def test_a_database_that_is_written_over_is_used_once_it_is_complete(
    database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    geoip = GeoIP(database)
    assert geoip.find(b"1.1.2.3") == b"US / CA"
    whole = mmdb.encode({"1.1.0.0/16": NY})
    with database.open("r+b") as file:  # in place, as many tools write
        file.truncate(10)
        geoip.refresh()
        geoip.find.cache_clear()
        assert geoip.find(b"1.1.2.3") == b"US / CA"
        file.write(whole)
    geoip.refresh()
    geoip.refresh()
    assert geoip.find(b"1.1.2.3") == b"US / NY"
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == ["WARNING"]
    database.unlink()
    geoip.refresh()
    assert geoip.find(b"1.1.9.9") == b"US / NY"
    geoip.close()
