"""Root looks with the eyes of the user who ships: with all of his groups, and as root again afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing

USER, PBX, OTHERS = 4241, 4242, 4243
LINE = b"[Nov 21 10:00:00] NOTICE[1] main.c: text\n"

LOOK = """
import json, os, sys
from pathlib import Path
from siplogs.shipping.access import hindrance, shipper
from siplogs.shipping.collect import Input
from siplogs.shipping.log_checks import check_logs

os.chroot(sys.argv[1])
os.chdir("/")
os.setgroups([int(one) for one in sys.argv[2:]])
user = shipper(Path("/state/state.db"))
looked = [next(check_logs([Input((path,))], user, 0.0, lambda _: ())) for path in ("/pbx/full", "/others/full")]
with user.acting():
    acting = os.geteuid(), os.getegid(), sorted(os.getgroups())
after = os.geteuid(), os.getegid(), os.getgroups()
kept = [hindrance(user, Path(folder, "dead.ndjson")) for folder in ("/pbx", "/others")]
found = [(one.verdict, one.text) for one in looked]
print(json.dumps({"name": user.name, "logs": found, "acting": acting, "after": after, "kept": kept}))
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A root folder with users of its own: siplogs is in the group of the PBX, as the package puts it there."""
    if os.geteuid() != 0:
        missing("no other user can be taken here: run these tests as root")
    tmp_path.chmod(0o755)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\n")
    (tmp_path / "etc/passwd").write_text(f"root:x:0:0::/:/bin/sh\nsiplogs:x:{USER}:{USER}::/:/bin/false\n")
    groups = f"root:x:0:\nsiplogs:x:{USER}:\nasterisk:x:{PBX}:somebody,siplogs\nfreeswitch:x:{OTHERS}:somebody\n"
    (tmp_path / "etc/group").write_text(groups)
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", USER, USER)
    for name, group in (("pbx", PBX), ("others", OTHERS)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "full").write_bytes(LINE)
        for path, mode in ((tmp_path / name, 0o770), (tmp_path / name / "full", 0o640)):
            os.chown(path, 0, group)
            path.chmod(mode)
    return tmp_path


def look(host: Path, *groups: int) -> Any:
    command = [sys.executable, "-c", LOOK, str(host), *map(str, groups)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def test_a_log_that_a_group_of_the_user_may_read_is_readable(host: Path) -> None:
    found = look(host)
    assert found["name"] == "siplogs"
    assert found["logs"][0] == ["ok", "/pbx/full: 1 file, readable for the user siplogs"]
    verdict, text = found["logs"][1]
    assert (verdict, text.startswith("/others/full: permission denied for the user siplogs; ")) == ("broken", True)
    assert found["kept"] == [
        "",
        "the user siplogs must not write in /others; let it write there, or name another place",
    ]


def test_root_keeps_no_group_of_his_own_and_gets_them_back(host: Path) -> None:
    found = look(host, 0, OTHERS)
    assert found["acting"] == [USER, USER, [USER, PBX]]
    assert found["logs"][1][0] == "broken"
    assert found["after"] == [0, 0, [0, OTHERS]]
