"""Makes or upgrades a home.

An upgrade keeps ossec.conf, client.keys, local_internal_options.conf, local_rules.xml, local_decoder.xml, lists, queues
and logs.  It replaces internal_options.conf, decoder.xml and the other rules if it wrote them (`var/manifest.json`
says so): those of a home that OSSEC's own installer made work as they are, and with each other, so they stay.  Programs
and response scripts are always replaced.  A replaced file that differs is saved as `NAME~`.

Every file is written beside its place and renamed, and ossec.conf comes last, so an installation that is interrupted is
simply run again.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from ossec import COMPATIBLE_VERSION, __version__
from ossec.config.kind import Kind
from ossec.errors import ConfigError, OssecError
from ossec.layout import Layout
from ossec.suite import processes, tree
from ossec.suite.machine import Machine
from ossec.suite.roster import choose, switched_off
from ossec.suite.template import InstallType, Settings, Stock, render, render_sub_agent
from ossec.suite.units import render_units, target_of

MAX_SOCKET_PATH = 107  # bytes that a Unix socket's address can hold; queue/ossec/queue must fit
HOME_PATTERN = re.compile(r"/[a-zA-Z0-9./_-]{3,128}")  # OSSEC's; response scripts may leave paths unquoted
LOCAL_RULES = """\
<!-- Your own rules. Ids from 100000 on are yours; an upgrade leaves this file alone.
     This example lowers a login that fails from one trusted address:

     <rule id="100001" level="0">
       <if_sid>5716</if_sid>
       <srcip>192.0.2.10</srcip>
       <description>Failed logins from the monitoring host are expected</description>
     </rule>
-->
<group name="local,">
</group>
"""
LOCAL_OPTIONS = """\
# Options set here override internal_options.conf; an upgrade leaves this file alone.
# section.option=number, without blanks. Example: logcollector.loop_timeout=1
"""


class InstallError(OssecError):
    """The home cannot be made; the message says what to do."""


@dataclass(slots=True)
class Report:
    """What was done.  Paths are relative to home."""

    upgraded: bool = False
    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    users: bool = False
    target: str = ""  # the systemd target, where units were written
    not_included: list[str] = field(default_factory=list)  # rule files that a kept ossec.conf does not name


def check_home(home: Path) -> None:
    """ConfigError for a directory that cannot hold a suite."""
    text = str(home)
    if not HOME_PATTERN.fullmatch(text) or ".." in home.parts:
        raise ConfigError(f"{text!r}: the directory must be absolute and hold only letters, digits and . / _ -")
    socket_path = os.fsencode(Layout(home).event_queue)
    if len(socket_path) > MAX_SOCKET_PATH:
        over = len(socket_path) - MAX_SOCKET_PATH
        raise ConfigError(f"{text}: too long by {over} bytes for the sockets below it; choose a shorter directory")


def is_inside_checkout(home: Path, source: Path) -> bool:
    """Whether home lies below a working copy of this project, as that of `make run` does."""
    return (source / "pyproject.toml").is_file() and home.is_relative_to(source)


def read_stock(source: Path) -> Stock:
    """What `source` (the package's data directory) brings; rules as etc/rules.list orders them, the local ones last."""
    folder = source / "etc" / "rules"
    present = sorted(path.name for path in folder.glob("*.xml"))
    listing = source / "etc" / "rules.list"
    lines = listing.read_text("utf-8").splitlines() if listing.is_file() else present
    names = [line.partition("#")[0].strip() for line in lines]
    order = [name for name in dict.fromkeys(names) if name in present and name != "local_rules.xml"]
    missing = [name for name in names if name and name not in present and name != "local_rules.xml"]
    if missing:
        raise InstallError(f"{listing}: names rules that are not in {folder}: {' '.join(missing)}")
    shared = sorted(path.name for path in _shared_files(source))
    return Stock((*order, "local_rules.xml"), tuple(shared))


@dataclass(slots=True)
class Manifest:
    """`var/manifest.json`: what is ours to replace, and to remove outside of home."""

    files: set[str] = field(default_factory=set)  # relative to home
    users: list[str] = field(default_factory=list)  # that we created
    units: list[str] = field(default_factory=list)  # absolute paths

    @classmethod
    def read(cls, layout: Layout) -> Manifest:
        """An empty one for a home that OSSEC's own installer made, or where the file cannot be understood."""
        try:
            value = json.loads(layout.manifest.read_bytes())
            files = {str(text) for text in value["files"]}
            return cls(files, list(value["users"]), list(value["units"]))
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return cls()

    def format(self) -> str:
        value = {"version": __version__, "files": sorted(self.files), "users": self.users, "units": self.units}
        return json.dumps(value, indent=1) + "\n"


def _shared_files(source: Path) -> list[Path]:
    return [path for path in (source / "etc" / "shared").glob("*.txt") if path.is_file()]


class Installer:
    """Performs.

    `source` is the package's data directory; with `users` (root only) files belong to OSSEC's users; `units` is where
    systemd looks for units, None to write none; `conf` is the text of ossec.conf where it is not the one that the
    settings give.
    """

    def __init__(
        self,
        settings: Settings,
        machine: Machine,
        source: Path,
        users: bool,
        units: Path | None = None,
        conf: str | None = None,
    ) -> None:
        self.units = units
        self.conf = conf
        self.settings = settings
        self.machine = machine
        self.source = source
        self.layout = Layout(settings.home)
        self.report = Report(users=users)
        self.manifest = Manifest()

    def install(self) -> Report:
        """Make or upgrade the home; InstallError, ConfigError, or OSError of the machine."""
        check_home(self.settings.home)
        stock = read_stock(self.source)
        self._refuse_foreign()
        self.report.upgraded = self.layout.ossec_conf.is_file()
        self.manifest = Manifest.read(self.layout)
        if self.report.users:
            self._check_reach()
            self.manifest.users += create_users(self.settings.home)
        for row in tree.directories(self.settings.kind):
            self._directory(row)
        self._configuration(stock)
        self._scripts()
        self._programs()
        self._logs()
        if self.report.upgraded and self.settings.kind is not InstallType.AGENT:
            conf = self.layout.ossec_conf.read_text("utf-8", "replace")
            if "<rule_dir" not in conf:
                self.report.not_included = [name for name in stock.rules if f">{name}<" not in conf]
        if self.settings.kind is InstallType.HYBRID:
            self._sub_agent()
        if self.units is not None:
            self._units(self.units)
        self._write(self.layout.manifest, self.manifest.format().encode(), tree.CONFIGURATION_MODE)
        return self.report

    # parts
    def _refuse_foreign(self) -> None:
        home = self.settings.home
        if home.exists() and not home.is_dir():
            raise InstallError(f"{home} is not a directory; move it away or choose another with --home")
        if home.is_dir() and any(home.iterdir()) and not self.layout.ossec_conf.is_file() and not self._is_begun():
            raise InstallError(f"{home} is not empty and is no OSSEC home; empty it or choose another with --home")

    def _is_begun(self) -> bool:
        """A first installation that was interrupted before it wrote ossec.conf."""
        known = {row.path.split("/")[0] for row in tree.directories(self.settings.kind)}
        return all(path.name in known for path in self.settings.home.iterdir())

    def _check_reach(self) -> None:
        """Daemons give up root, and still must reach this package and the home."""
        for path in (Path(__file__).resolve(), Path(sys.executable).resolve(), self.settings.home):
            for folder in reversed(path.parents):
                if folder.exists() and not folder.stat().st_mode & 0o001:
                    raise InstallError(
                        f"{folder} is closed to other users, so the users of OSSEC could not reach {path}; "
                        f"open it (chmod o+x), use another place, or run everything as root with --no-users"
                    )

    def _directory(self, row: tree.Directory) -> None:
        path = self.settings.home / row.path
        path.mkdir(parents=True, exist_ok=True)
        mode = row.mode if os.geteuid() == 0 else row.mode | tree.OWNER_WRITES
        descriptor = _open_directory(path)
        try:
            if os.geteuid() in (0, os.fstat(descriptor).st_uid):
                os.fchmod(descriptor, mode)
            self._own(descriptor, row.owner, row.group)
        finally:
            os.close(descriptor)

    def _configuration(self, stock: Stock) -> None:
        layout, kind = self.layout, self.settings.kind
        etc = self.source / "etc"
        if kind is not InstallType.AGENT:
            for name in stock.rules:
                if (etc / "rules" / name).is_file() and name != layout.local_rules.name:
                    self._update(layout.rules_dir / name, (etc / "rules" / name).read_bytes())
            own = etc / "rules" / layout.local_rules.name
            self._keep(layout.local_rules, own.read_bytes() if own.is_file() else LOCAL_RULES.encode())
            self._update(layout.decoder_xml, (etc / "decoder.xml").read_bytes())
            if (etc / "local_decoder.xml").is_file():
                self._keep(layout.local_decoder_xml, (etc / "local_decoder.xml").read_bytes())
            for path in sorted((etc / "lists").glob("*")):
                if path.is_file():
                    self._keep(layout.lists_dir / path.name, path.read_bytes())
        self._keep(layout.client_keys, b"")
        self._update(layout.internal_options, (etc / "internal_options.conf").read_bytes())
        self._keep(layout.local_internal_options, LOCAL_OPTIONS.encode())
        for path in _shared_files(self.source):
            self._replace(layout.shared_dir / path.name, path.read_bytes(), tree.SHARED_MODE, tree.MAIN_USER)
        self._write_init_conf("server" if kind is InstallType.HYBRID else str(kind))
        # last: with it the directory is a home
        conf = self.conf if self.conf is not None else render(self.settings, self.machine, stock)
        self._keep(layout.ossec_conf, conf.encode("utf-8", "surrogateescape"))

    def _write_init_conf(self, kind: str) -> None:
        date = time.strftime("%a %b %e %H:%M:%S %Z %Y")
        rows = {"DIRECTORY": self.settings.home, "VERSION": COMPATIBLE_VERSION, "DATE": date, "TYPE": kind}
        text = "".join(f'{name}="{value}"\n' for name, value in rows.items())
        self._write(self.layout.init_conf, text.encode(), tree.CONFIGURATION_MODE)

    def _scripts(self) -> None:
        for folder, target in (
            ("active-response", self.layout.active_response_bin),
            ("agentless", self.layout.agentless_dir),
        ):
            files = self.source / folder / "bin" if (self.source / folder / "bin").is_dir() else self.source / folder
            for path in sorted(files.glob("*")):
                if path.is_file() and not path.name.startswith((".", "__")) and path.suffix != ".md":
                    self._replace(target / path.name, path.read_bytes(), tree.PROGRAM_MODE)

    def _programs(self) -> None:
        for name, module in tree.programs(self.settings.kind).items():
            content = tree.wrapper(name, module).encode()
            self._write(self.layout.bin_dir / name, content, tree.PROGRAM_MODE, group="root")

    def _logs(self) -> None:
        names = [self.layout.ossec_log]
        if self.settings.kind is not InstallType.AGENT:
            names.append(self.layout.active_responses_log)
        for path in names:
            if not path.exists():
                self._write(path, b"", tree.LOG_MODE, tree.MAIN_USER)

    def _units(self, folder: Path) -> None:
        """For every daemon that this version has; the administrator enables their target."""
        kinds = {InstallType.AGENT: Kind.AGENT, InstallType.LOCAL: Kind.LOCAL}
        off = switched_off(self.layout.ossec_conf.read_text("utf-8", "replace"))
        kind = kinds.get(self.settings.kind, Kind.SERVER)
        roster = choose(kind, off=off, exists=processes.available(kind))
        for name, text in render_units(self.settings.home, roster).items():
            path = folder / name
            path.write_text(text, "utf-8")
            if str(path) not in self.manifest.units:
                self.manifest.units.append(str(path))
        self.report.target = target_of(roster)

    def _sub_agent(self) -> None:
        """The agent of a hybrid home, which reports this server's own alerts to a server above."""
        home = self.layout.sub_agent_home
        settings = Settings(
            home=home,
            kind=InstallType.AGENT,
            server=self.settings.server,
            profile=self.settings.profile,
            syscheck=False,
            rootcheck=False,
            active_response=False,
        )
        below = Installer(settings, self.machine, self.source, self.report.users, conf=render_sub_agent(self.settings))
        self.report.written += [f"{home.name}/{name}" for name in below.install().written]

    # files
    def _keep(self, path: Path, content: bytes) -> None:
        """Write it unless it is there: it belongs to the administrator."""
        if path.exists():
            self.report.kept.append(str(path.relative_to(self.settings.home)))
            return
        self._write(path, content, tree.CONFIGURATION_MODE)

    def _update(self, path: Path, content: bytes) -> None:
        """Replace it if it is ours; what stood there before us stays."""
        name = str(path.relative_to(self.settings.home))
        if path.exists() and self.report.upgraded and name not in self.manifest.files:
            self.report.kept.append(name)
            return
        self._replace(path, content)
        self.manifest.files.add(name)

    def _replace(self, path: Path, content: bytes, mode: int = tree.CONFIGURATION_MODE, owner: str = "root") -> None:
        """What stood there, if it differs, is saved as `NAME~`."""
        if path.is_file() and path.read_bytes() != content:
            saved = path.with_name(path.name + "~")
            saved.unlink(missing_ok=True)
            os.link(path, saved, follow_symlinks=False)
            self.report.saved.append(str(saved.relative_to(self.settings.home)))
        self._write(path, content, mode, owner)

    def _write(self, path: Path, content: bytes, mode: int, owner: str = "root", group: str = tree.GROUP) -> None:
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            os.fchmod(descriptor, mode)
            self._own(descriptor, owner, group)
        temporary.rename(path)
        self.report.written.append(str(path.relative_to(self.settings.home)))

    def _own(self, descriptor: int, owner: str, group: str) -> None:
        if self.report.users:
            os.fchown(descriptor, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)


def _open_directory(path: Path) -> int:
    """A descriptor of it.  Through a symbolic link only if it is root's or ours: daemons own some of the folders above,
    and what they put there must not lead root to give away /etc."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOFOLLOW)
    except OSError:
        if not path.is_symlink():
            raise
    if path.lstat().st_uid not in (0, os.geteuid()):
        raise InstallError(f"{path} is a link that neither root nor you made; look where it leads, and remove it")
    return os.open(path, flags)


def create_users(home: Path) -> list[str]:
    """The group `ossec` and its three users, as far as they are missing; those made.  InstallError if refused."""
    made = []
    try:
        grp.getgrnam(tree.GROUP)
    except KeyError:
        _run_user_tool(["groupadd", "--system", tree.GROUP])
    for user in tree.USERS:
        try:
            pwd.getpwnam(user)
        except KeyError:
            shell = next((path for path in ("/usr/sbin/nologin", "/sbin/nologin") if Path(path).exists()), "/bin/false")
            _run_user_tool(["useradd", "--system", "-g", tree.GROUP, "-d", str(home), "-M", "-s", shell, user])
            made.append(user)
    return made


def _run_user_tool(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InstallError(f"{command[0]} is missing; install it, or create group and users by hand") from None
    if done.returncode != 0:
        raise InstallError(f"{' '.join(command)}: {done.stderr.strip() or f'exit {done.returncode}'}")
