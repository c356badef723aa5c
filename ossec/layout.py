"""The home directory: every path below it, in one place (spec/configuration.md, section 1).

No other module joins a path below home, so a suite lives in any directory and several live side by side.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

DEFAULT_HOME = Path("/var/ossec")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HOME_MARK = Path("etc/ossec.conf")  # what tells that a directory is a home


@dataclass(frozen=True, slots=True)
class Layout:
    """Every path below `home`, which is absolute."""

    home: Path

    def under(self, relative: str) -> Path:
        """A path that a configuration file gives relative to home (an absolute one stays as it is)."""
        return self.home / relative

    # etc
    @property
    def ossec_conf(self) -> Path:
        return self.home / "etc" / "ossec.conf"

    @property
    def internal_options(self) -> Path:
        return self.home / "etc" / "internal_options.conf"

    @property
    def local_internal_options(self) -> Path:
        return self.home / "etc" / "local_internal_options.conf"

    @property
    def client_keys(self) -> Path:
        return self.home / "etc" / "client.keys"

    @property
    def authd_password(self) -> Path:
        """What agents must know to enrol."""
        return self.home / "etc" / "authd.pass"

    @property
    def manager_certificate(self) -> Path:
        return self.home / "etc" / "sslmanager.cert"

    @property
    def manager_key(self) -> Path:
        return self.home / "etc" / "sslmanager.key"

    @property
    def init_conf(self) -> Path:
        """What the installer says about this home: DIRECTORY, VERSION, DATE, TYPE (`ossec-init.conf`)."""
        return self.home / "etc" / "ossec-init.conf"

    @property
    def decoder_xml(self) -> Path:
        return self.home / "etc" / "decoder.xml"

    @property
    def local_decoder_xml(self) -> Path:
        return self.home / "etc" / "local_decoder.xml"

    @property
    def lists_dir(self) -> Path:
        return self.home / "etc" / "lists"

    @property
    def rules_dir(self) -> Path:
        return self.home / "rules"

    @property
    def rule_tests_dir(self) -> Path:
        """Examples of what the rules must say (ossec-ruletest)."""
        return self.rules_dir / "tests"

    @property
    def local_rules(self) -> Path:
        return self.rules_dir / "local_rules.xml"

    @property
    def shared_dir(self) -> Path:
        return self.home / "etc" / "shared"

    @property
    def agent_conf(self) -> Path:
        return self.shared_dir / "agent.conf"

    @property
    def ar_conf(self) -> Path:
        return self.shared_dir / "ar.conf"

    @property
    def merged_mg(self) -> Path:
        return self.shared_dir / "merged.mg"

    # bin, active-response
    @property
    def bin_dir(self) -> Path:
        return self.home / "bin"

    @property
    def process_list(self) -> Path:
        return self.bin_dir / ".process_list"

    @property
    def active_response_bin(self) -> Path:
        return self.home / "active-response" / "bin"

    @property
    def agentless_dir(self) -> Path:
        return self.home / "agentless"

    @property
    def sub_agent_home(self) -> Path:
        """Home of the agent of a hybrid installation."""
        return self.home / "ossec-agent"

    # queues and their state
    @property
    def event_queue(self) -> Path:
        return self.home / "queue" / "ossec" / "queue"

    @property
    def agent_info_file(self) -> Path:
        return self.home / "queue" / "ossec" / ".agent_info"

    @property
    def wait_file(self) -> Path:
        return self.home / "queue" / "ossec" / ".wait"

    @property
    def agent_spool_dir(self) -> Path:
        """Events that the server does not have yet."""
        return self.home / "queue" / "ossec" / "spool"

    @property
    def syscheck_run_file(self) -> Path:
        """Its presence asks syscheckd for a scan."""
        return self.run_dir / ".syscheck_run"

    def shared_file(self, name: str) -> Path:
        """A file of etc/shared; `name` has been judged by `messages.merged.safe_name`."""
        return self.shared_dir / name

    @property
    def shared_origin(self) -> Path:
        """The names of what the server sent, so that what it sends no more is removed."""
        return self.shared_dir / ".from-server"

    def rid(self, name: str) -> Path:
        """A file of counters."""
        return self.rids_dir / name

    @property
    def logcollector_positions(self) -> Path:
        return self.home / "queue" / "ossec" / ".logcollector_pos"

    @property
    def alerts_queue_dir(self) -> Path:
        return self.home / "queue" / "alerts"

    @property
    def exec_queue(self) -> Path:
        return self.alerts_queue_dir / "execq"

    @property
    def ar_queue(self) -> Path:
        return self.alerts_queue_dir / "ar"

    def response_spool(self, queue: str) -> Path:
        """Responses that wait for the reader of `queue` (`execq`, `ar`), over a restart too."""
        return self.alerts_queue_dir / f".{queue}-waiting"

    @property
    def execd_journal(self) -> Path:
        """Blocks in force, written down before they are made."""
        return self.alerts_queue_dir / "ar-state"

    @property
    def alert_number(self) -> Path:
        """Up to which number alerts may have been named, so that a restart goes on behind it."""
        return self.home / "queue" / "ossec" / ".alert_number"

    @property
    def readers_dir(self) -> Path:
        """How far each output has come in the alert stream."""
        return self.home / "queue" / "readers"

    def reader_position(self, name: str) -> Path:
        """Where an output goes on after a restart; `name` is letters, digits, `-` and `.`."""
        return self.readers_dir / name

    @property
    def mail_dir(self) -> Path:
        """Mails that wait, and maild's state."""
        return self.home / "queue" / "mail"

    @property
    def mail_state(self) -> Path:
        return self.mail_dir / "state"

    def mail(self, name: str) -> Path:
        """A mail that waits."""
        return self.mail_dir / name

    @property
    def refused_mail_dir(self) -> Path:
        """Mails that the server refused for good."""
        return self.mail_dir / "refused"

    @property
    def fts_dir(self) -> Path:
        return self.home / "queue" / "fts"

    @property
    def fts_queue(self) -> Path:
        return self.fts_dir / "fts-queue"

    @property
    def ignore_queue(self) -> Path:
        return self.fts_dir / "ig-queue"

    @property
    def hostinfo_queue(self) -> Path:
        return self.fts_dir / "hostinfo"

    @property
    def syscheck_dir(self) -> Path:
        return self.home / "queue" / "syscheck"

    @property
    def syscheck_baseline(self) -> Path:
        """What syscheckd knows of the files of this host."""
        return self.syscheck_dir / ".baseline.db"

    @property
    def rootcheck_dir(self) -> Path:
        return self.home / "queue" / "rootcheck"

    @property
    def diff_dir(self) -> Path:
        return self.home / "queue" / "diff"

    def diff_entry(self, host: str, sid: int) -> Path:
        """The last output of a command that rule `sid` saw on `host` (check_diff)."""
        return self.diff_outputs(host) / str(sid) / "last-entry"

    def diff_outputs(self, host: str) -> Path:
        """All that check_diff keeps of `host`."""
        return self.diff_dir / host

    @property
    def agent_info_dir(self) -> Path:
        return self.home / "queue" / "agent-info"

    def agent_info(self, name: str) -> Path:
        """What an agent said of itself last; `name` is `NAME-IP`, both checked when its key was read."""
        return self.agent_info_dir / name

    @property
    def rids_dir(self) -> Path:
        return self.home / "queue" / "rids"

    def rids(self, identity: str) -> Path:
        """The counters of one agent; `identity` is digits."""
        return self.rids_dir / identity

    @property
    def agentless_queue_dir(self) -> Path:
        """What agentlessd knows of each device."""
        return self.home / "queue" / "agentless"

    def agent_traces(self, name: str, address: str) -> dict[str, Path]:
        """What a server keeps of an agent, by the name that a backup gives it; both parts checked as for its key."""
        label = f"({name}) {address}"
        return {
            "agent-info": self.agent_info(f"{name}-{address}"),
            "syscheck": self.syscheck_dir / f"{label}->syscheck",
            "syscheck.cpt": self.syscheck_dir / f".{label}->syscheck.cpt",
            "syscheck-registry": self.syscheck_dir / f"{label}->syscheck-registry",
            "syscheck-registry.cpt": self.syscheck_dir / f".{label}->syscheck-registry.cpt",
            "maintenance": self.maintenance_mark(label),
            "rootcheck": self.rootcheck_dir / f"{label}->rootcheck",
        }

    def maintenance_mark(self, base: str) -> Path:
        """Exists while file changes are taken over in silence; `base` is `syscheck` or `(NAME) IP`."""
        return self.syscheck_dir / f".{base}.maint"

    def syscheck_database(self, location: str) -> Path:
        """What is known of a host's files: `syscheck` for this one, `(NAME) IP->syscheck` for an agent's."""
        return self.syscheck_dir / location

    def rootcheck_database(self, location: str) -> Path:
        """Rootcheck's findings: `rootcheck` for this host, `(NAME) IP->rootcheck` for an agent."""
        return self.rootcheck_dir / location

    def agents_backup(self, name: str) -> Path:
        """Where `manage_agents` keeps what was known of a removed agent."""
        return self.home / "backup" / "agents" / name

    # logs and statistics
    @property
    def logs_dir(self) -> Path:
        return self.home / "logs"

    @property
    def ossec_log(self) -> Path:
        return self.logs_dir / "ossec.log"

    @property
    def active_responses_log(self) -> Path:
        return self.logs_dir / "active-responses.log"

    @property
    def demo_log(self) -> Path:
        """What `make run` follows besides the machine's own logs."""
        return self.logs_dir / "demo.log"

    @property
    def fim_maintenance_log(self) -> Path:
        return self.logs_dir / "fim_maintenance.log"

    @property
    def alerts_dir(self) -> Path:
        return self.logs_dir / "alerts"

    @property
    def archives_dir(self) -> Path:
        return self.logs_dir / "archives"

    @property
    def firewall_dir(self) -> Path:
        return self.logs_dir / "firewall"

    @property
    def alerts_log(self) -> Path:
        return self.alerts_dir / "alerts.log"

    def alerts_of(self, day: date) -> Path:
        """The alerts of a day, as outputs read them."""
        return self.alerts_dir / str(day.year) / MONTHS[day.month - 1] / f"ossec-alerts-{day.day:02d}.log"

    @property
    def alerts_json(self) -> Path:
        return self.alerts_dir / "alerts.json"

    @property
    def stats_dir(self) -> Path:
        return self.home / "stats"

    # run time
    @property
    def run_dir(self) -> Path:
        return self.home / "var" / "run"

    @property
    def manifest(self) -> Path:
        """What the installer wrote, so that an upgrade replaces its own files only."""
        return self.home / "var" / "manifest.json"

    @property
    def control_lock(self) -> Path:
        return self.home / "var" / "start-script-lock"

    def pid_file(self, daemon: str, pid: int) -> Path:
        return self.run_dir / f"{daemon}-{pid}.pid"

    def state_file(self, daemon: str) -> Path:
        return self.run_dir / f"{daemon}.state"

    def reload_mark(self, daemon: str) -> Path:
        """How the daemon's last reload went, for ossec-control."""
        return self.run_dir / f"{daemon}.reloaded"


def data_dir() -> Path:
    """Where etc/ and active-response/ of this package lie: in the wheel, or in the checkout beside the package."""
    package = Path(__file__).resolve().parent
    installed = package / "data"
    return installed if installed.is_dir() else package.parent


def find_home(option: str | os.PathLike[str] | None = None) -> Layout:
    """The home that a program works on: `--home`/`-D`, `OSSEC_HOME`, the home that the script lies in, `/var/ossec`."""
    chosen = option or os.environ.get("OSSEC_HOME")
    if chosen:
        return Layout(Path(chosen).absolute())
    script_home = Path(sys.argv[0]).absolute().parent.parent
    if (script_home / HOME_MARK).is_file():
        return Layout(script_home)
    return Layout(DEFAULT_HOME)
