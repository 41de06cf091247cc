"""The Debian package, built here and installed in a Debian 12 without a network; its services under a real systemd."""

import lzma
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from siplogs import __version__
from siplogs.cli import COMMANDS
from tests.conftest import missing
from tests.live.debian import MAKE, REPOSITORY, ROOT, Debian

pytestmark = pytest.mark.debian

EXAMPLE = REPOSITORY / "examples/demo-asterisk-full.xz"
UNITS = ("siplogs-tail.service", "siplogs-ship.service", "siplogs-ship.timer")
LOGS = {
    "var/log/asterisk/full": "a log\n",
    "var/log/asterisk/full.1": "an older one\n",
    "var/log/siplogs.log": "mine\n",
}
KEY = {"cluster": ["monitor"], "indices": [{"names": ["siplogs-*"], "privileges": ["create_doc", "auto_configure"]}]}
KEY_FILE = "/etc/siplogs/api-key"
PATIENCE = 90.0


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built by this Python."""
    if not (ROOT / ".made").exists():
        missing(f"no Debian in {ROOT}: {MAKE}")
    if os.geteuid() != 0:
        missing("a Debian in a root folder of its own: run these tests as root")
    built = subprocess.run(
        [REPOSITORY / "packaging/build-deb", tmp_path_factory.mktemp("package")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHON": sys.executable},
    )
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


def with_asterisk(folder: Path) -> Debian:
    """Return a Debian that has a user asterisk, and logs."""
    debian = Debian(folder)
    debian.run("adduser", "--quiet", "--system", "--group", "--no-create-home", "asterisk")
    for name, text in LOGS.items():
        debian.write(name, text)
    debian.run("chown", "-R", "asterisk:asterisk", "/var/log/asterisk")
    debian.run("chmod", "-R", "o-rwx", "/var/log/asterisk")
    return debian


def install(debian: Debian, package: Path) -> None:
    shutil.copy(package, debian.root / "root/siplogs.deb")
    debian.run("dpkg", "--install", "/root/siplogs.deb")


@pytest.fixture
def debian(package: Path, tmp_path: Path) -> Iterator[Debian]:
    """A Debian without the package, for one test."""
    made = with_asterisk(tmp_path / "debian")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    """A Debian with the package, which tests only look at."""
    made = with_asterisk(tmp_path_factory.mktemp("installed") / "debian")
    install(made, package)
    yield made
    made.remove()


def test_it_works_without_a_network(installed: Debian) -> None:
    assert installed.run("siplogs", "--version").stdout == f"siplogs {__version__}\n"
    shutil.copy(EXAMPLE, installed.root / "root/full.xz")
    scanned = installed.run(
        "siplogs", "scan", "--code", "404,484", "--timezone", "UTC", "--format=csv", "/root/full.xz"
    )
    assert "1009" in scanned.stdout
    assert len(scanned.stdout.splitlines()) > 3
    assert "0 wrong" in installed.run("siplogs", "patterns", "check").stdout
    assert "Not Acceptable Here" in installed.run("siplogs", "explain", "488").stdout
    assert installed.run("dpkg", "--verify", "siplogs").stdout == ""


def test_all_of_its_python_is_its_own(installed: Debian) -> None:
    script = "import sys, elasticsearch, hyperscan; print(sys.prefix, elasticsearch.__file__, hyperscan.__file__)"
    prefix, *files = installed.run("/opt/siplogs/bin/python3", "-I", "-c", script).stdout.split()
    assert prefix == "/opt/siplogs"
    assert all(file.startswith("/opt/siplogs/lib/python3.11/site-packages/") for file in files)
    assert installed.run("readlink", "/usr/bin/siplogs").stdout == "/opt/siplogs/bin/siplogs\n"
    libraries = installed.run("sh", "-c", "ldd $(find /opt/siplogs -name '*.so')").stdout
    assert "not found" not in libraries


def test_the_user_may_read_logs_and_nothing_runs_unasked(installed: Debian) -> None:
    groups = set(installed.run("id", "--name", "--groups", "siplogs").stdout.split())
    assert groups == {"siplogs", "adm", "asterisk"}
    installed.run("setpriv", "--reuid=siplogs", "--regid=siplogs", "--init-groups", "cat", "/var/log/asterisk/full")
    assert installed.run("stat", "--format=%U:%G %a", "/var/lib/siplogs").stdout == "siplogs:siplogs 750\n"
    for unit in UNITS:
        state = installed.run("systemctl", "is-enabled", unit, check=False).stdout.strip()
        assert state == ("static" if unit == "siplogs-ship.service" else "disabled")
    lines = (installed.root / "etc/cron.d/siplogs").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and line[0] != "#" and "=" not in line] == []


def test_a_manual_page_for_every_command(installed: Debian) -> None:
    for page in ("siplogs", *(f"siplogs-{name}" for name in COMMANDS)):
        assert installed.run("man", "-w", page).stdout == f"/usr/share/man/man1/{page}.1.gz\n"
        assert installed.run("man", "--warnings", page).stderr == ""


@pytest.mark.parametrize(("typed", "offered"), [("siplogs sc", "scan"), ("siplogs scan --fail", "--failures")])
def test_bash_completes(installed: Debian, typed: str, offered: str) -> None:
    script = f"""
        source /usr/share/bash-completion/bash_completion
        _completion_loader siplogs
        COMP_WORDS=({typed}) COMP_CWORD={len(typed.split()) - 1}
        $(complete -p siplogs | sed 's/.* -F \\([^ ]*\\) .*/\\1/') siplogs
        echo "${{COMPREPLY[@]}}"
    """
    assert installed.run("bash", "-c", script).stdout.split() == [offered]


def test_zsh_and_fish_find_their_completion(installed: Debian) -> None:
    share = installed.root / "usr/share"
    assert (share / "zsh/vendor-completions/_siplogs").read_text(encoding="utf-8").startswith("#compdef siplogs\n")
    assert "--command siplogs" in (share / "fish/vendor_completions.d/siplogs.fish").read_text(encoding="utf-8")


def test_systemd_finds_no_fault(installed: Debian) -> None:
    verified = installed.run("systemd-analyze", "verify", *(f"/lib/systemd/system/{unit}" for unit in UNITS))
    assert verified.stdout + verified.stderr == ""


@pytest.mark.parametrize(("pbx", "log"), [("asterisk", "full"), ("freeswitch", "freeswitch.log")])
def test_logrotate_does_what_the_examples_say(debian: Debian, pbx: str, log: str) -> None:
    debian.run("adduser", "--quiet", "--system", "--group", "--no-create-home", pbx)
    debian.write(f"var/log/{pbx}/{log}", "what there is\n")
    debian.run("chown", "-R", f"{pbx}:{pbx}", f"/var/log/{pbx}")
    debian.write(f"etc/logrotate.d/{pbx}", (REPOSITORY / f"packaging/logrotate/{pbx}").read_text(encoding="utf-8"))
    debian.run("logrotate", "--force", f"/etc/logrotate.d/{pbx}")
    assert (debian.root / f"var/log/{pbx}/{log}.1").read_text(encoding="utf-8") == "what there is\n"
    made = debian.run("stat", "--format=%U:%G %a %s", f"/var/log/{pbx}/{log}").stdout
    assert made == f"{pbx}:{pbx} 640 0\n"


def test_a_pbx_that_comes_later_lets_it_read(debian: Debian, package: Path) -> None:
    install(debian, package)
    debian.write(
        "root/pbx/DEBIAN/control",
        "Package: freeswitch\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.com>\nDescription: a\n",
    )
    debian.write("root/pbx/DEBIAN/postinst", "#!/bin/sh\ngroupadd --system freeswitch\n", mode=0o755)
    debian.write("root/pbx/usr/bin/freeswitch", "")
    debian.run("dpkg-deb", "--build", "/root/pbx")
    debian.run("dpkg", "--install", "/root/pbx.deb")
    groups = debian.run("id", "--name", "--groups", "siplogs").stdout.split()
    assert set(groups) == {"siplogs", "adm", "asterisk", "freeswitch"}


@pytest.mark.parametrize("made", ["--user-group", "--no-user-group --gid=users"])
def test_an_ordinary_user_of_that_name_is_taken(debian: Debian, package: Path, made: str) -> None:
    debian.run("useradd", "--create-home", *made.split(), "siplogs")
    before = debian.run("id", "--user", "siplogs").stdout
    install(debian, package)
    assert debian.run("dpkg-query", "--show", "--showformat=${Status}", "siplogs").stdout == "install ok installed"
    assert debian.run("id", "--user", "siplogs").stdout == before
    assert {"siplogs", "adm", "asterisk"} <= set(debian.run("id", "--name", "--groups", "siplogs").stdout.split())
    assert debian.run("stat", "--format=%U:%G %a", "/var/lib/siplogs").stdout == "siplogs:siplogs 750\n"


def test_upgrading_keeps_and_purging_takes_only_what_is_its_own(debian: Debian, package: Path) -> None:
    before = debian.files("etc", "lib", "opt", "usr", "var")
    install(debian, package)
    debian.write("etc/siplogs/siplogs.toml", 'timezone = "Europe/Madrid"\n')
    debian.write("etc/siplogs/patterns.d/mine.toml", "")
    debian.write("etc/credstore/siplogs-api-key", "key")
    debian.write("var/lib/siplogs/state.db", "state")
    mine = debian.files("etc/siplogs", "var/lib/siplogs")

    install(debian, package)
    assert "Madrid" in (debian.root / "etc/siplogs/siplogs.toml").read_text(encoding="utf-8")
    assert debian.files("etc/siplogs", "var/lib/siplogs") == mine

    debian.run("dpkg", "--remove", "siplogs")
    assert debian.files("etc/siplogs", "var/lib/siplogs") == mine
    assert not debian.files("opt", "usr/bin/siplogs") & {"opt/siplogs/bin/siplogs", "usr/bin/siplogs"}
    assert logs(debian) == LOGS

    debian.run("dpkg", "--purge", "siplogs")
    assert logs(debian) == LOGS
    accounts = {f"etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")}
    kept = debian.files("etc", "lib", "opt", "usr", "var") - before - accounts
    assert {path for path in kept if not path.startswith(("var/lib/dpkg/", "var/cache/man/", "var/lib/systemd/"))} == {
        "etc/credstore/siplogs-api-key"
    }


def logs(debian: Debian) -> dict[str, str]:
    return {name: (debian.root / name).read_text(encoding="utf-8") for name in LOGS}


def test_the_hardened_daemon_delivers_through_reload_and_crash(debian: Debian, package: Path, secure: Any) -> None:
    lines = lzma.decompress(EXAMPLE.read_bytes())
    middle = lines.index(b"\n[", len(lines) // 2) + 1
    log = debian.root / "var/log/asterisk/full"
    log.write_bytes(b"")
    with debian.booted():
        install(debian, package)
        configure(debian, secure)
        expected = len(debian.run("siplogs", "scan", "--format=ndjson", "/root/full.xz").stdout.splitlines())

        debian.run("systemctl", "start", "siplogs-tail")
        assert "wait" not in debian.property("StatusText")
        append(log, lines[:middle])
        await_events(secure, lambda number: number > expected // 4)

        debian.run("systemctl", "reload", "siplogs-tail")
        killed = debian.property("MainPID")
        debian.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", "siplogs-tail")
        append(log, lines[middle:])
        await_events(secure, lambda number: number == expected)
        assert debian.property("ActiveState") == "active"
        assert debian.property("MainPID") not in {"0", killed}

        debian.run("systemctl", "stop", "siplogs-tail")
        assert debian.property("Result") == "success"
        debian.run("systemctl", "start", "siplogs-ship")
        await_events(secure, lambda number: number == expected)

        debian.run("systemctl", "enable", "--now", "siplogs-tail")
        debian.run("dpkg", "--remove", "siplogs")
        assert debian.run("systemctl", "is-active", "siplogs-tail", check=False).stdout == "inactive\n"
    assert log.read_bytes() == lines
    assert "etc/systemd/system/multi-user.target.wants/siplogs-tail.service" not in debian.files("etc")


def test_switching_it_on_works_step_by_step_as_written(debian: Debian, package: Path, secure: Any) -> None:
    page = (REPOSITORY / "packaging/README.md").read_text(encoding="utf-8")
    block = page.partition("## Switching it on\n\n")[2].partition("\n\n")[0]
    editor, *steps = [line.partition("  #")[0].strip() for line in block.splitlines()]
    assert editor == "editor /etc/siplogs/siplogs.toml"
    with debian.booted():
        install(debian, package)
        configure(debian, secure)
        key = (debian.root / "etc/credstore/siplogs-api-key").read_text(encoding="utf-8")
        shutil.rmtree(debian.root / "etc/credstore")
        said = [debian.run("sh", "-c", f"echo {key} | {{ {step}; }}", check="doctor" not in step) for step in steps]
        (doctor,) = [one.stdout for step, one in zip(steps, said, strict=True) if "doctor" in step]
        links = {line[9:24].strip(): line[:9].strip() for line in doctor.splitlines()}
        assert {links[name] for name in ("configuration", "credentials", "privileges", "templates")} == {"ok"}, doctor
        assert links["state"] == "warning", doctor
        append(debian.root / "var/log/asterisk/full", lzma.decompress(EXAMPLE.read_bytes()))
        await_events(secure, lambda number: number > 0)


@pytest.mark.parametrize("written", ["README.md", "packaging/cron.d/siplogs"])
def test_the_cron_line_works_as_written(debian: Debian, package: Path, secure: Any, written: str) -> None:
    (debian.root / "var/log/asterisk/full").write_bytes(lzma.decompress(EXAMPLE.read_bytes()))
    text = (REPOSITORY / written).read_text(encoding="utf-8")
    (line,) = re.findall(r"^[ #]*(\*/5 \* \* \* \* .*)", text, re.MULTILINE)
    settings = re.findall(r"^[A-Z_]+=.*", text, re.MULTILINE) if written.startswith("packaging") else []
    at_once = line.replace("*/5 * * * *", "@reboot")
    with debian.booted():
        install(debian, package)
        configure(debian, secure)
        debian.run("install", "-o", "root", "-g", "siplogs", "-m", "0640", "/etc/credstore/siplogs-api-key", KEY_FILE)
        toml = debian.root / "etc/siplogs/siplogs.toml"
        named = f'[elasticsearch]\napi_key_file = "{KEY_FILE}"'
        toml.write_text(toml.read_text(encoding="utf-8").replace("[elasticsearch]", named), encoding="utf-8")
        debian.run("ln", "-sf", "/opt/siplogs/bin/siplogs", "/usr/local/bin/siplogs")
        expected = len(debian.run("siplogs", "scan", "--format=ndjson", "/root/full.xz").stdout.splitlines())
        debian.write("etc/cron.d/siplogs", "\n".join((*settings, at_once, "")))
        debian.run("systemctl", "start", "cron")
        await_events(secure, lambda number: number == expected)
    assert debian.run("stat", "--format=%U:%G", "/var/lib/siplogs/state.db").stdout == "siplogs:siplogs\n"


def configure(debian: Debian, node: Any) -> None:
    """Write settings, certificate and key, and let `siplogs setup` prepare the server."""
    shutil.copy(EXAMPLE, debian.root / "root/full.xz")
    shutil.copy(node.ca_file, debian.root / "etc/siplogs/ca.crt")
    (debian.root / "etc/siplogs/ca.crt").chmod(0o644)
    made = node.call("POST", "/_security/api_key", {"name": "package", "role_descriptors": {"role": KEY}})
    debian.write("etc/credstore/siplogs-api-key", made["encoded"], mode=0o600)
    settings = (
        f'timezone = "UTC"\n[elasticsearch]\nurl = ["{node.url}"]\nca_file = "/etc/siplogs/ca.crt"\nreplicas = 0\n'
    )
    debian.write("etc/siplogs/siplogs.toml", settings + '[[input]]\npaths = ["/var/log/asterisk/full"]\n')
    user = ("SIPLOGS_ELASTICSEARCH_USERNAME=elastic", f"SIPLOGS_ELASTICSEARCH_PASSWORD={node.password}")
    debian.run("env", *user, "siplogs", "setup", "--elasticsearch", node.url)


def append(log: Path, content: bytes) -> None:
    with log.open("ab") as opened:
        opened.write(content)


def await_events(node: Any, enough: Callable[[int], bool]) -> None:
    number, end = 0, time.monotonic() + PATIENCE
    while time.monotonic() < end:
        node.call("POST", "/siplogs-events-*/_refresh")
        with suppress(HTTPError):  # 503: an index is being made
            number = node.call("GET", "/siplogs-events-*/_count")["count"]
        if enough(number):
            return
        time.sleep(0.5)
    pytest.fail(f"{number} events are in Elasticsearch")
