"""A JSON log from its file to the alert: logcollector, JSON_Decoder, rules on fields by dotted names."""

from __future__ import annotations

import json

from tests.integration.suite import Suite, section

DECODER = """<decoder name="shop">
  <prematch>^{"app": "shop"</prematch>
  <plugin_decoder>JSON_Decoder</plugin_decoder>
  <order>srcip=client.ip, user=actor.name, url=request.path</order>
</decoder>
"""
RULES = r"""<group name="shop,">
  <rule id="100900" level="0"><decoded_as>shop</decoded_as><description>the shop's log</description></rule>
  <rule id="100901" level="7">
    <if_sid>100900</if_sid>
    <field name="event.outcome">^denied$</field>
    <field name="roles.1">^admin</field>
    <srcip>198.51.100.0/24</srcip>
    <user>^eve$</user>
    <url>^/orders/</url>
    <description>An administrator of the shop was refused.</description>
    <group>authentication_failed,</group>
  </rule>
</group>
"""
ENTRY = {
    "app": "shop",
    "client": {"ip": "198.51.100.7"},
    "actor": {"name": "eve"},
    "event": {"outcome": "denied"},
    "roles": ["clerk", "administrator"],
    "request": {"path": "/orders/7", "agent": ""},
}


def test_a_json_line_raises_an_alert_with_its_fields(suite: Suite) -> None:
    log = suite.log.with_name("shop.json")
    log.touch()
    suite.append(section("localfile", log_format="json", location=log))
    suite.layout.local_decoder_xml.write_text(DECODER)
    with (suite.layout.rules_dir / "local_rules.xml").open("a") as rules:
        rules.write(RULES)
    suite.start()
    hidden = {**ENTRY, "request": {"path": "/orders/8", "agent": "x" * 9000}}
    with log.open("a") as out:
        out.write(json.dumps({**ENTRY, "event": {"outcome": "granted"}}) + "\n" + json.dumps(ENTRY) + "\n")
    alert = suite.wait_for_alert(100901)
    assert (alert["srcip"], alert["dstuser"], alert["url"]) == ("198.51.100.7", "eve", "/orders/7")
    assert (alert["event.outcome"], alert["roles.0"], alert["decoder"]) == ("denied", "clerk", "shop")
    assert alert["logfile"] == str(log)
    with log.open("a") as out:
        out.write(json.dumps(hidden) + "\n")
    suite.write("Failed password for invalid user eve from 198.51.100.8 port 1 ssh2")
    suite.wait_for_alert(5710)
    assert [found["url"] for found in suite.alerts(100901)] == ["/orders/7", "/orders/8"], "a long line hides nothing"
