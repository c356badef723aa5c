"""A home made from a small package of the test's own, and made again."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from ossec.errors import ConfigError
from ossec.suite import tree
from ossec.suite.installer import Installer, InstallError, Report, check_home, is_inside_checkout, read_stock
from ossec.suite.machine import Machine
from ossec.suite.template import InstallType, Settings

ROOT = os.geteuid() == 0


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A package's data: two rules, a decoder, options, a database, a script."""
    folder = tmp_path / "source"
    for name, text in {
        "etc/rules/b_rules.xml": "<group/>",
        "etc/rules/rules_config.xml": "<group/>",
        "etc/rules.list": "rules_config.xml  # first\n\nb_rules.xml\nlocal_rules.xml\n",
        "etc/decoder.xml": "<decoder/>",
        "etc/internal_options.conf": "analysisd.debug=0\n",
        "etc/shared/rootkit_files.txt": "x\n",
        "active-response/firewall-drop.sh": "#!/bin/sh\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def install(home: Path, source: Path, kind: InstallType = InstallType.LOCAL, server: str = "192.0.2.1") -> Report:
    return Installer(Settings(home, kind, server=server), Machine("h"), source, users=False).install()


def modes(home: Path) -> dict[str, int]:
    return {str(path.relative_to(home)): stat.S_IMODE(path.stat().st_mode) for path in home.rglob("*")}


def test_the_tree_has_the_modes_of_ossec(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    install(home, source)
    found = modes(home)
    writable = 0 if ROOT else tree.OWNER_WRITES
    expected = {
        "bin": 0o550 | writable,
        "etc/shared": 0o770,
        "logs/alerts": 0o750,
        "queue/alerts": 0o770,
        "queue/ossec": 0o750,
        "var/run": 0o770,
        "tmp": 0o1550 | writable,
        "etc/ossec.conf": 0o640,
        "etc/client.keys": 0o640,
        "rules/local_rules.xml": 0o640,
        "active-response/bin/firewall-drop.sh": 0o550,
        "logs/ossec.log": 0o660,
        "logs/active-responses.log": 0o660,
        "bin/ossec-control": 0o550,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_the_type_is_written_where_ossec_control_and_scripts_read_it(tmp_path: Path, source: Path) -> None:
    install(tmp_path / "home", source)
    script = '. "$1"; echo "$DIRECTORY|$VERSION|$TYPE"'
    command = ["sh", "-c", script, "sh", str(tmp_path / "home/etc/ossec-init.conf")]
    assert subprocess.check_output(command, text=True) == f"{tmp_path}/home|v4.2.0|local\n"


def test_an_upgrade_keeps_what_is_yours_and_saves_what_it_replaces(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    assert not install(home, source).upgraded
    mine = ["etc/ossec.conf", "etc/client.keys", "rules/local_rules.xml", "etc/local_internal_options.conf"]
    for name in mine:
        (home / name).write_text("mine")
    (home / "rules/b_rules.xml").write_text("changed by hand")
    (source / "etc/rules/b_rules.xml").write_text("<group name='new'/>")
    report = install(home, source)
    assert report.upgraded
    assert [(home / name).read_text() for name in mine] == ["mine"] * 4
    assert set(mine) <= set(report.kept)
    assert (home / "rules/b_rules.xml").read_text() == "<group name='new'/>"
    assert (home / "rules/b_rules.xml~").read_text() == "changed by hand"
    assert report.saved == ["rules/b_rules.xml~"]


def test_a_home_of_the_c_program_keeps_its_rules_and_decoders(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    theirs = ["etc/ossec.conf", "etc/decoder.xml", "rules/b_rules.xml", "rules/more_rules.xml", "bin/ossec-execd"]
    for name in theirs:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("theirs: <include>b_rules.xml</include>")
    (home / "var/start-script-lock").mkdir(parents=True)
    for _ in range(2):  # the second time too
        report = install(home, source)
        assert report.upgraded
        assert [(home / name).read_text()[:6] for name in theirs[:4]] == ["theirs"] * 4
        assert "rules_config.xml" in report.not_included
        assert "b_rules.xml" not in report.not_included
    assert "ossec.execd" in (home / "bin/ossec-execd").read_text()
    assert (home / "rules/rules_config.xml").exists()


def test_a_folder_may_be_a_link_of_yours_to_another_disk(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    install(home, source)
    (home / "logs").rename(tmp_path / "disk")
    (home / "logs").symlink_to(tmp_path / "disk")
    install(home, source)
    assert (home / "logs").is_symlink()
    assert (tmp_path / "disk/ossec.log").exists()


@pytest.mark.root
@pytest.mark.skipif(not ROOT, reason="needs root to make a link of somebody else")
def test_a_link_that_a_daemon_planted_is_refused(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    install(home, source)
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    (home / "logs/alerts").rmdir()
    (home / "logs/alerts").symlink_to(victim)
    os.lchown(home / "logs/alerts", 65534, 65534)
    with pytest.raises(InstallError, match="neither root nor you"):
        install(home, source)
    assert stat.S_IMODE(victim.stat().st_mode) == 0o700


def test_a_saved_copy_does_not_write_through_a_planted_link(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    install(home, source)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (home / "etc/shared/rootkit_files.txt~").symlink_to(victim)
    (source / "etc/shared/rootkit_files.txt").write_text("new")
    install(home, source)
    assert victim.read_text() == "untouched"
    assert (home / "etc/shared/rootkit_files.txt~").read_text() == "x\n"


def test_an_interrupted_installation_is_simply_run_again(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    decoder = (source / "etc/decoder.xml").read_text()
    (source / "etc/decoder.xml").unlink()
    with pytest.raises(FileNotFoundError):
        install(home, source)
    assert not (home / "etc/ossec.conf").exists()
    (source / "etc/decoder.xml").write_text(decoder)
    assert not install(home, source).upgraded
    assert (home / "etc/ossec.conf").exists()


def test_a_directory_that_is_no_home_is_left_alone(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    with pytest.raises(InstallError, match="not empty and is no OSSEC home"):
        install(home, source)
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "home", ["relative", "/a b", "/x;y", "/" + "x" * 129, "/up/../down", "/a", "/tmp/" + "deep/" * 17 + "home"]
)
def test_a_directory_that_cannot_hold_a_suite_is_refused(home: str) -> None:
    with pytest.raises(ConfigError):
        check_home(Path(home))


def test_rules_come_in_the_order_of_the_list_and_local_ones_last(source: Path) -> None:
    assert read_stock(source).rules == ("rules_config.xml", "b_rules.xml", "local_rules.xml")


def test_a_listed_rule_file_that_is_missing_is_named(source: Path) -> None:
    (source / "etc/rules/b_rules.xml").unlink()
    with pytest.raises(InstallError, match=r"b_rules\.xml"):
        read_stock(source)


def test_an_agent_has_no_rules_and_no_analysis(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    install(home, source, InstallType.AGENT)
    names = set(modes(home))
    assert not {"rules", "queue/fts", "logs/alerts", "bin/ossec-analysisd", "etc/decoder.xml"} & names
    assert {"queue/rids", "etc/shared", "bin/ossec-control"} <= names


def test_a_hybrid_home_holds_its_agent(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    install(home, source, InstallType.HYBRID)
    conf = (home / "ossec-agent/etc/ossec.conf").read_text()
    assert "ossecalert" in conf
    assert f"{home}/logs/alerts/alerts.log" in conf
    assert 'TYPE="server"' in (home / "etc/ossec-init.conf").read_text()
    assert 'TYPE="agent"' in (home / "ossec-agent/etc/ossec-init.conf").read_text()


def test_a_wrapper_runs_from_anywhere_with_a_hostile_directory_around_it(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    install(home, source)
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "ossec.py").write_text("raise SystemExit('imported from the current directory')")
    command = [home / "bin/ossec-control", "--version"]
    done = subprocess.run(command, cwd=trap, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("ossec-control (OSSEC in Python)"), done


def test_a_home_in_a_checkout_is_known(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert is_inside_checkout(tmp_path / "run", tmp_path)
    assert not is_inside_checkout(Path("/var/ossec"), tmp_path)
