"""ossec-install as its user meets it: options, questions, errors; what it writes loads without a warning."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ossec import config
from ossec.cli.install import command, main
from ossec.errors import OssecError
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


@pytest.mark.parametrize("kind", ["server", "agent", "hybrid"])
def test_an_upgrade_keeps_what_the_home_is(tmp_path: Path, kind: str) -> None:
    home = tmp_path / "home"
    assert call(home, "--yes", "--type", kind, "--server-ip", "192.0.2.1").exit_code == 0
    before = (home / "etc/ossec-init.conf").read_text().splitlines()[-1]
    again = call(home, "--yes")  # says neither its kind nor its server
    assert again.exit_code == 0, again.output
    assert f"Upgraded an OSSEC home of type {kind} in {home}." in again.output
    assert (home / "etc/ossec-init.conf").read_text().splitlines()[-1] == before
    with pytest.raises(OssecError, match=f"is a home of type {kind}"):
        call(home, "--yes", "--type", "local")


def preload(monkeypatch: pytest.MonkeyPatch, folder: Path, *lines: str) -> None:
    """As OSSEC's own etc/preloaded-vars.conf has it, in the current directory."""
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/preloaded-vars.conf").write_text("# answers\n" + "".join(f"{line}\n" for line in lines))
    monkeypatch.chdir(folder)


def test_answers_of_a_file_are_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    preload(
        monkeypatch,
        tmp_path / "source",
        'USER_LANGUAGE="en"',
        'USER_NO_STOP="y"',
        'USER_INSTALL_TYPE="server"',
        f'USER_DIR="{home}"  # where',
        '#USER_ENABLE_EMAIL="n"',
        'USER_ENABLE_EMAIL="y"',
        'USER_EMAIL_ADDRESS="root@example.com"',
        'USER_EMAIL_SMTP="192.0.2.25"',
        'USER_ENABLE_SYSCHECK="n"',
        'USER_ENABLE_ROOTCHECK="n"',
        'USER_ENABLE_ACTIVE_RESPONSE="y"',
        'USER_ENABLE_FIREWALL_RESPONSE="y"',
        'USER_WHITE_LIST="192.0.2.9 10.0.0.0/8"',
        'USER_ENABLE_SYSLOG="y"',
        'USER_SHOE_SIZE="42"',
    )
    done = CliRunner().invoke(command, ["--no-users"], input="", catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "USER_SHOE_SIZE has no meaning here" in done.stderr
    assert "USER_LANGUAGE" not in done.stderr
    loaded = config.load(Layout(home))
    assert loaded.warnings == ()
    assert loaded.global_.email_to == ("root@example.com",)
    assert loaded.global_.smtp_server == "192.0.2.25"
    assert [response.command.name for response in loaded.responses] == ["host-deny", "firewall-drop"]
    text = (home / "etc/ossec.conf").read_text()
    assert all(f"<allow_list>{host}<" in text for host in ("192.0.2.9", "10.0.0.0/8"))
    assert "<connection>syslog<" in text
    assert text.count("<disabled>yes</disabled>") == 2  # syscheck and rootcheck


@pytest.mark.parametrize("name", ["USER_AGENT_SERVER_IP", "USER_AGENT_SERVER_NAME"])
def test_the_environment_goes_before_the_file_and_the_command_line_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    preload(monkeypatch, tmp_path / "source", 'USER_INSTALL_TYPE="server"', 'USER_AGENT_CONFIG_PROFILE="web"')
    monkeypatch.setenv("USER_INSTALL_TYPE", "agent")
    monkeypatch.setenv("USER_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv(name, "192.0.2.1")
    monkeypatch.setenv("USER_NO_STOP", "y")
    assert call(tmp_path / "home").exit_code == 0
    assert not (tmp_path / "elsewhere").exists()
    text = (tmp_path / "home/etc/ossec.conf").read_text()
    assert "<server-ip>192.0.2.1<" in text
    assert "<config-profile>web<" in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('USER_ENABLE_SYSCHECK="maybe"', "USER_ENABLE_SYSCHECK wants y or n, got 'maybe'"),
        ('USER_INSTALL_TYPE="sever"', "USER_INSTALL_TYPE is one of"),
        ('USER_ENABLE_EMAIL="y"', "USER_EMAIL_ADDRESS must be set"),
    ],
)
def test_an_answer_that_is_none_is_refused_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    preload(monkeypatch, tmp_path / "source", line)
    with pytest.raises(OssecError, match=re.escape("etc/preloaded-vars.conf: ") + ".*" + re.escape(message)):
        call(tmp_path / "home", "--yes")
    assert not (tmp_path / "home").exists()


def test_answers_that_a_stranger_may_have_written_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preload(monkeypatch, tmp_path / "source", 'USER_ENABLE_ACTIVE_RESPONSE="n"')
    (tmp_path / "source/etc/preloaded-vars.conf").chmod(0o666)
    with pytest.raises(OssecError, match="others may have written it"):
        call(tmp_path / "home", "--yes")


def test_an_upgrade_may_be_allowed_or_forbidden_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    assert call(home, "--yes").exit_code == 0
    monkeypatch.setenv("USER_UPDATE", "y")
    assert "Upgraded" in call(home, answers="").output
    monkeypatch.setenv("USER_UPDATE", "n")
    with pytest.raises(OssecError, match="USER_UPDATE=n"):
        call(home, "--yes")


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
