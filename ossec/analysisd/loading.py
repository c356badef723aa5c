"""An engine out of a home and its configuration: for the daemon, for ossec-logtest, for a replay."""

from __future__ import annotations

from pathlib import Path

from ossec.analysisd.decoder_loader import DecoderLoader, Source
from ossec.analysisd.diagnostics import Report
from ossec.analysisd.engine import Engine, EngineOptions
from ossec.analysisd.lists import FileLists
from ossec.analysisd.rule_loader import LoadOptions, load_rules
from ossec.analysisd.stores import Stores
from ossec.config.internal import InternalOptions
from ossec.config.model import Configuration
from ossec.layout import Layout


def load_engine(
    layout: Layout,
    configuration: Configuration,
    internal: InternalOptions,
    own_name: bytes,
    report: Report,
    *,
    write: bool,
    fresh: bool = False,
) -> Engine:
    """Decoders and rules as ossec.conf names them; LoadError, with every mistake in the report.

    `write` False: files are read, what is new stays in memory.  `fresh`: as on a machine that has seen nothing yet.
    """
    wanted = configuration.rules
    loader = DecoderLoader(report, internal.get("analysisd.decoder_order_size"))
    for one in wanted.decoders:
        loader.read(Source(one.path, one.name))
    if not wanted.decoders:
        loader.read(Source(layout.decoder_xml, _shown(layout, layout.decoder_xml)))
        if layout.local_decoder_xml.is_file():
            report.say(f"{report.program}: INFO: Reading local decoder file.")
            loader.read(Source(layout.local_decoder_xml, _shown(layout, layout.local_decoder_xml)))
    lists = frozenset(one.name for one in wanted.lists)
    compat = bool(internal.get("analysisd.ossec_compat"))
    matched_max = internal.get("analysisd.sid_prev_matched_max")
    if not report.failed:
        decoders = loader.finish()
    rules = load_rules(  # when decoders were refused, for what there is to say about the rules too
        [Source(one.path, one.name) for one in wanted.includes],
        report,
        loader.known_names(),
        LoadOptions(
            default_timeframe=internal.get("analysisd.default_timeframe"),
            log_alert_level=configuration.alerts.log_alert_level,
            email_alert_level=configuration.alerts.email_alert_level,
            lists=lists,
            sid_prev_matched_max=matched_max,
            compat=compat,
        ),
    )
    options = EngineOptions(
        own_name=own_name,
        compat=compat,
        memory_size=configuration.global_.memory_size,
        sid_prev_matched_max=matched_max,
        fts_list_size=internal.get("analysisd.fts_list_size"),
        fts_min_size_for_str=internal.get("analysisd.fts_min_size_for_str"),
    )
    if fresh:
        stores = Stores(lists=FileLists(layout, lists, compat))
    else:
        stores = Stores.in_home(layout, lists, write=write, compat=compat)
    return Engine(decoders, rules, options, stores)


def _shown(layout: Layout, path: Path) -> str:
    """What OSSEC's messages call a file: its path inside the home, which OSSEC sees as the root."""
    return "/" + path.relative_to(layout.home).as_posix()
