"""What the commands print and how they end, without a broker."""

import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from fleet_sim.cli import main
from fleet_sim.scenario.loading import load_scenario

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_profiles_are_listed_and_check_out(cli: Cli) -> None:
    status, out, _ = cli("ls", "--json")
    names = [json.loads(row)["name"] for row in out.splitlines()]
    assert status == 0
    assert {"cold-chain", "factory", "water", "air"} <= set(names)
    assert cli("check", *names)[0] == 0


def test_one_of_a_thing_is_told_in_the_singular(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(
        "version: 1\nname: one\nfleet:\n  box: {count: 1, site: [s], interval: 1s, "
        "metrics: {t: {model: constant, value: 1}}}\nfaults:\n- {kind: reboot}\n"
    )
    assert cli("check", str(path))[1] == f"{path}: ok, 1 device, 1 fault\n"


def test_a_bad_scenario_is_said_with_its_place(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("version: 1\nname: x\nflet: {}\n")
    status, _, err = cli("check", str(path))
    assert status == 2
    assert f"{path}:3:1" in err
    assert "fleet" in err


def test_preview_shows_what_devices_would_send(cli: Cli) -> None:
    status, out, _ = cli("preview", "cold-chain", "--samples", "5", "--json")
    rows = [json.loads(row) for row in out.splitlines()]
    assert status == 0
    assert [row["device"] for row in rows] == ["frz-00000"] * 5
    assert all(set(row["m"]) == {"temperature", "door", "battery"} for row in rows)
    assert {rows[k + 1]["ts"] - rows[k]["ts"] for k in range(4)} == {10_000}
    assert cli("preview", "cold-chain", "--samples", "5", "--json", "--seed", "42")[1].count("frz-00000") == 5
    chart = cli("preview", "cold-chain", "--samples", "5")[1]
    assert "temperature" in chart
    assert "…" in chart


def test_plan_predicts_rates(cli: Cli) -> None:
    status, out, _ = cli("plan", "cold-chain", "-c", "60000", "--interval", "20s", "--json")
    found = json.loads(out)
    assert status == 0
    assert (found["devices"], found["messages_per_second"], found["source_addresses"]) == (60_000, 3000.0, 3)
    assert found["bytes_per_second"] > 3000 * 100


def test_init_writes_a_scenario_that_checks_out_and_never_over_another(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert cli("init", str(path), "--profile", "factory")[0] == 0
    assert cli("check", str(path))[0] == 0
    assert cli("init", str(path))[0] == 2
    assert cli("init", str(tmp_path / "b.yaml"), "--profile", "moon")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "cold-chain", "--start", "noon"), "noon"),
        (("run", "cold-chain", "--interval", "5"), "5"),
        (("replay", "x.csv", "--mapping", "uci", "--speed", "fast"), ""),
        (("replay", "x.csv", "--mapping", "uci"), "cannot read x.csv"),
        (
            ("replay", "x.csv", "--mapping", "nap"),
            "nap: no such mapping; one of ea, nab, plain, uci, or the path of a YAML file; did you mean 'nab'?",
        ),
        (
            ("replay", __file__),
            "--mapping: say which columns are what: one of ea, nab, plain, uci, or the path of a YAML file",
        ),
        (("run", "cold-chain", "--set", "fleet.freezer.cuont=5"), "count"),
        (("run", "cold-chain", "--sensors", "-1"), "greater than or equal to 1"),
        (("run", "cold-chain", "--sensors", "99999999999"), "less than or equal to 1000000"),
        (("run", "cold-chain", "--seed", "x"), "valid integer"),
        (("run", "cold-chain", "--seed", "-1"), "greater than or equal to 0"),
        (("run", "cold-chain", "--interval", "0s"), "--interval: '0s' is too short; at least 1ms"),
        (("run", "cold-chain", "--duration", "0s"), "--duration: '0s' is too short"),
        (("run", "cold-chain", "--keepalive", "10ms"), "--keepalive: '10ms' is too short; at least 1s"),
        (("run", "cold-chain", "--keepalive", "100h"), "--keepalive: '100h' is too long; at most 18h12m15s"),
        (("run", "cold-chain", "--limit", "-1"), "greater than or equal to 1"),
        (("run", "cold-chain", "--speed", "inf"), "less than or equal to"),
        (("run", "cold-chain", "--speed", "nan"), "or equal to"),
        (("run", "cold-chain", "--boot", "9" * 30), "less than or equal to"),
        (("run", "cold-chain", "--start", "3000-01-01"), "not between 1970 and 2100"),
        (("run", "cold-chain", "--start", "9999-12-31T23:59:59-23:59"), "--start"),
        (("run", "cold-chain", "--port", "99999"), "less than or equal to 65535"),
        (("run", "cold-chain", "--port", "0"), "greater than or equal to 1"),
        (("doctor", "--port", "99999"), "less than or equal to 65535"),
        (("run", "cold-chain", "--set", "broker.url=mqtt://h:99999"), "port of 1 to 65535"),
        (("run", "cold-chain", "--set", "broker.url=mqtt://h:0"), "port of 1 to 65535"),
        (("run", "cold-chain", "--host", "a b"), "--host: 'a b' is no host"),
        (("run", "cold-chain", "--host", "mqtt://a"), "is no host"),
        (("run", "cold-chain", "--bind", "eth0"), "--bind: 'eth0' is no IP address"),
        (
            ("run", "cold-chain", "--junit", "/nonexistent/x.xml"),
            "--junit: /nonexistent/x.xml cannot be written",
        ),
        (("run", "cold-chain", "--report", "/dev/null/x"), "--report: /dev/null/x cannot be made"),
        (("ctl", "fault", ".", "stuck", "--set", "a={"), "the value is not YAML"),
        (("ctl", "disconnect", ".", "--for", "x"), "--for: 'x' is not a duration"),
        (("init", "/nonexistent/x.yaml"), "/nonexistent/x.yaml cannot be written: No such file or directory"),
        (
            ("init", "x.yaml", "--profile", "moon"),
            "--profile: there is no profile 'moon'; one of air, cold-chain",
        ),
        (
            ("run", "cold-chain", "--cafile", "/nonexistent/ca.crt"),
            "--cafile, or broker.ca of the scenario: /nonexistent/ca.crt: No such file or directory",
        ),
        (
            ("run", "cold-chain", "--cafile", __file__),
            f"--cafile, or broker.ca of the scenario: {__file__}: holds no certificate in PEM form",
        ),
        (
            ("run", "cold-chain", "--set", "broker.url=mqtts://h", "--cert", "/nonexistent/c"),
            "--cert, or broker.cert of the scenario: /nonexistent/c: No such file or directory",
        ),
        (("check", "[/red]\x1b[2J"), "[/red]\\x1b[2J: no such file"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_bad_usage_is_2_and_says_what(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    status, _, err = cli(*arguments)
    assert status == 2
    assert said in err
    assert "Traceback" not in err
    assert "unexpected" not in err
    assert "Errno" not in err


def test_a_run_directory_that_is_none_cannot_be_asked(cli: Cli) -> None:
    status, _, err = cli("ctl", "status", "/dev/null")
    assert (status, "Not a directory" in err) == (3, True)


def test_certificates_of_a_scenario_file_are_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    text = (Path(str(files("fleet_sim"))) / "profiles" / "air.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(
        re.sub("(?m)^broker:.*\n", "", text)
        + "\nbroker: {url: mqtts://h, ca: ca.crt, cert: /etc/a.crt, key: a.key}\n"
    )
    for source in (str(tmp_path / "mine.yaml"), "../mine.yaml"):
        broker = load_scenario(source, overrides=("broker.key=b.key",), env={}).broker
        assert broker.ca is not None
        assert Path(broker.ca).resolve() == tmp_path / "ca.crt"
        assert (broker.cert, broker.key) == ("/etc/a.crt", "b.key")
