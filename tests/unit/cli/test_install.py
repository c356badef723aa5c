"""ossec-install as its user meets it: options, questions, errors; what it writes loads without a warning."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ossec import config
from ossec.cli.install import command, main
from ossec.layout import Layout


def call(home: Path, *options: str, answers: str | None = None) -> Result:
    words = [*options, *(() if "--home" in options else ("--home", str(home))), "--no-users"]
    return CliRunner().invoke(command, words, input=answers, catch_exceptions=False)


@pytest.mark.parametrize("kind", ["local", "server", "agent", "hybrid"])
def test_every_kind_of_home_loads_without_a_warning(tmp_path: Path, kind: str) -> None:
    done = call(tmp_path / "home", "--yes", "--type", kind, "--server-ip", "192.0.2.1", "--email", "root@example.com")
    assert done.exit_code == 0, done.output
    assert config.load(Layout(tmp_path / "home")).warnings == ()


def test_without_yes_it_asks_and_explains(tmp_path: Path) -> None:
    answers = [
        "help",
        "local",
        str(tmp_path / "asked"),
        "y",
        "root@example.com",
        "192.0.2.25",
        "n",
        "n",
        "y",
        "y",
        "10.0.0.0/8",
    ]
    runner = CliRunner()
    done = runner.invoke(command, ["--no-users"], input="\n".join(answers) + "\n", catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "receive the events of agents" in done.output  # what help says
    loaded = config.load(Layout(tmp_path / "asked"))
    assert loaded.global_.email_to == ("root@example.com",)
    assert "10.0.0.0/8" in (tmp_path / "asked/etc/ossec.conf").read_text()
    assert [response.command.name for response in loaded.responses] == ["host-deny", "firewall-drop"]


def test_what_the_command_line_says_is_not_asked(tmp_path: Path) -> None:
    options = ["--type", "agent", "--server-ip", "192.0.2.1", "--no-syscheck", "--no-rootcheck", "--no-active-response"]
    done = call(tmp_path / "home", *options, answers="")
    assert done.exit_code == 0, done.output
    assert "?" not in done.output


def test_an_existing_home_is_upgraded_only_on_a_yes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert call(home, "--yes").exit_code == 0
    conf = home / "etc/ossec.conf"
    conf.write_text("<ossec_config/>\n")
    done = call(home, "--type", "local", answers="y\n")
    assert done.exit_code == 0
    assert "kept: rules/local_rules.xml" in done.output
    assert conf.read_text() == "<ossec_config/>\n"


def test_the_summary_as_json_tells_what_was_done(tmp_path: Path) -> None:
    summary = json.loads(call(tmp_path / "home", "--json", "--no-firewall-response").stdout)
    assert summary["home"] == str(tmp_path / "home")
    assert (summary["type"], summary["upgraded"], summary["firewall_response"]) == ("local", False, False)
    assert summary["start"].endswith("/bin/ossec-control start")
    assert "ossec-execd" in summary["daemons"]


def test_without_root_nobody_is_blocked_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ossec.cli.install._can_block", lambda: False)
    done = call(tmp_path / "home", "--yes")
    assert "only root can change a firewall" in done.output
    assert config.load(Layout(tmp_path / "home")).responses == ()


def test_errors_name_place_and_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").touch()
    (tmp_path / "file").touch()
    for words, message in [
        (["--type", "agent", "--home", str(tmp_path / "a")], "add --server-ip"),
        (["--home", str(tmp_path / "full")], "empty it or choose another with --home"),
        (["--home", str(tmp_path / "file")], "is not a directory"),
        (["--home", "/tmp/" + "x" * 110], "too long by"),
        (["--home", str(tmp_path / "b"), "--email", "a<b"], "leave out '<'"),
    ]:
        with pytest.raises(SystemExit) as leaving:
            main([*words, "--yes", "--no-users"])
        assert leaving.value.code == 1
        assert re.search(re.escape(message), capsys.readouterr().err), words


def test_a_directory_that_may_not_be_made_is_refused_with_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--home", "/sys/ossec-home", "--yes", "--no-users"])  # where root may not either
    assert "/sys/ossec-home" in (message := capsys.readouterr().err)
    assert "run it as root, or choose a directory of yours" in message
