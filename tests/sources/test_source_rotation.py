"""Rotated sets come oldest first, whatever the strategy, also when the modification times say nothing."""

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_archives import PACK

from siplogs.sources import find
from siplogs.sources.rotation import log_name

BUILT = "[{}] Asterisk 16.28.0~dfsg-0+deb11u4 built by nobody @ build.example.com on a unknown running Linux\n"
DEBUG = "{} 96.33% [DEBUG] switch_core_session.c:1744 Session 43 (sofia/internal/1016@lab.test) Locked\n"
UUID = "f6b0da87-dd75-4a63-a20b-212c7a80d148 "
STARTED = "{} 99.43% [NOTICE] mod_logfile.c:217 New log started.\n"
FRAME = "recv 289 bytes from udp/[127.0.0.101]:6001 at 02:12:45.683278:\n"
DIALPLAN = UUID + "Dialplan: sofia/internal/1018@lab.test parsing [default->loop] continue=false\n"
PLAIN = "[{}] VERBOSE[31775][C-00000009] sip/route.c: sip_route_dump: route/path hop\n"
JSON = '{{"hostname":"","timestamp":"{}","identifiers":{{"lwp":27868,"callid":""}},"logmsg":{{}}}}\n'
COLOUR = "\x1b[mfreeswitch@vm> \r\x1b[K\x1b[36m{} [NOTICE] mod_sofia.c:1 text\n"
DOCKER = "asterisk-1  | [{}] VERBOSE[31775] chan_sip.c: text\n"

# Oldest first: names and first lines as real Asterisk 16 and 22 and FreeSWITCH 1.10 leave them.
RECORDED = {
    "asterisk sequential": {
        "full.0": BUILT.format("2026-11-21 02:24:25"),
        "full.1": BUILT.format("2026-11-21 02:24:28"),
        "full.2": BUILT.format("2026-11-21 02:24:30"),
        "full": BUILT.format("2026-11-21 02:24:32"),
    },
    "asterisk rotate": {
        "full.2": BUILT.format("2026-11-21 02:24:35"),
        "full.1": BUILT.format("2026-11-21 02:24:38"),
        "full.0": BUILT.format("2026-11-21 02:24:40"),
        "full": BUILT.format("2026-11-21 02:24:42"),
    },
    "asterisk copytruncate": {
        "full.3": BUILT.format("2026-11-21 02:23:37") + PLAIN.format("Nov 21 02:23:37"),
        "full.2": PLAIN.format("2026-11-21 02:23:41"),
        "full.1": PLAIN.format("2026-11-21 02:23:43"),
        "full": PLAIN.format("2026-11-21 02:23:45"),
    },
    "freeswitch by signal": {
        "freeswitch.log.2026-11-21-02-12-41.1": STARTED.format("2026-11-21 02:12:38.686543"),
        "freeswitch.log.2026-11-21-02-12-44.1": STARTED.format("2026-11-21 02:12:41.595034"),
        "freeswitch.log.2026-11-21-02-12-46.1": STARTED.format("2026-11-21 02:12:44.095018"),
        "freeswitch.log.2026-11-21-02-12-46.2": STARTED.format("2026-11-21 02:12:46.115038"),
        "freeswitch.log.2026-11-21-02-12-47.1": STARTED.format("2026-11-21 02:12:46.315014"),
        "freeswitch.log": STARTED.format("2026-11-21 02:12:47.835587"),
    },
    "freeswitch by size": {
        "freeswitch-roll.log.5": FRAME + UUID + DEBUG.format("2026-11-21 02:12:45.675014"),
        "freeswitch-roll.log.4": STARTED.format("2026-11-21 02:12:46.115038"),
        "freeswitch-roll.log.3": STARTED.format("2026-11-21 02:12:46.315014"),
        "freeswitch-roll.log.2": UUID + DEBUG.format("2026-11-21 02:12:47.635014"),
        "freeswitch-roll.log.1": STARTED.format("2026-11-21 02:12:47.835587"),
        "freeswitch-roll.log": UUID + DEBUG.format("2026-11-21 02:12:51.235018"),
    },
    "asterisk timestamp": {
        "full.1795228400": PLAIN.format("Nov 21 03:33:20"),
        "full.1795314800": PLAIN.format("Nov 22 03:33:20"),
        "full": PLAIN.format("Nov 23 03:33:20"),
    },
    "logrotate with numbers, over New Year, no year in the log": {
        "full.3.gz": PLAIN.format("Dec 30 00:00:01"),
        "full.2.gz": PLAIN.format("Dec 31 00:00:01"),
        "full.1": PLAIN.format("Jan  1 00:00:01"),
        "full": PLAIN.format("Jan  2 00:00:01"),
    },
    "sequential over New Year without the live file": {
        "full.0": PLAIN.format("Dec 31 00:00:01"),
        "full.1": PLAIN.format("Jan  1 00:00:01"),
        "full.2": PLAIN.format("Jan  2 00:00:01"),
    },
    "logrotate with dates, also by the hour and compressed": {
        "full-20261119.gz": PLAIN.format("Nov 18 00:00:01"),
        "full-20261120": PLAIN.format("Nov 19 00:00:01"),
        "full-2026112013": PLAIN.format("Nov 20 00:00:01"),
        "full-2026112014.gz": PLAIN.format("Nov 20 13:00:01"),
        "full": PLAIN.format("Nov 20 14:00:01"),
    },
    "the name before the extension": {
        "freeswitch-20261119.log.gz": STARTED.format("2026-11-18 00:00:01.000001"),
        "freeswitch-20261120.log": STARTED.format("2026-11-19 00:00:01.000001"),
        "freeswitch.log": STARTED.format("2026-11-20 00:00:01.000001"),
    },
    "sequential numbers used again after the first were deleted": {
        "full.2": PLAIN.format("2026-11-18 00:00:01"),
        "full.3": PLAIN.format("2026-11-19 00:00:01"),
        "full.0": PLAIN.format("2026-11-20 00:00:01"),
        "full.1": PLAIN.format("2026-11-21 00:00:01"),
        "full": PLAIN.format("2026-11-22 00:00:01"),
    },
    "the dateformat changed after an upgrade": {
        "full.3": PLAIN.format("Dec 30 23:00:00"),
        "full.2": PLAIN.format("Jan  1 01:00:00"),
        "full.1": PLAIN.format("2027-01-02T01:00:00.776+0000"),
        "full": PLAIN.format("2027-01-03 01:00:00.776"),
    },
    "json, consoles and containers": {
        "full.0": JSON.format("Nov 18 02:22:47"),
        "full.1": COLOUR.format("2026-11-19 02:22:47.123456"),
        "full.2": DOCKER.format("Nov 20 02:22:47"),
        "full": PLAIN.format("Nov 21 02:22:47"),
    },
}


def write(folder, contents):
    for name, content in contents.items():
        packed = PACK["gzip" if name.endswith(".gz") else ""](content.encode())
        (folder / name).write_bytes(packed)
        os.utime(folder / name, (1_800_000_000, 1_800_000_000))  # as after a copy: the same for all


def names(sources):
    return [source.path.rpartition("/")[2] for source in sources]


@pytest.mark.parametrize("case", RECORDED)
def test_a_set_is_read_oldest_first_without_the_help_of_modification_times(tmp_path, case):
    write(tmp_path, RECORDED[case])
    assert names(find([str(tmp_path)], warn=pytest.fail)) == list(RECORDED[case])
    assert names(find([f"{tmp_path}/*"], warn=pytest.fail)) == list(RECORDED[case])


@pytest.mark.parametrize("case", ["asterisk sequential", "asterisk rotate"])
def test_the_order_in_which_the_files_are_named_does_not_matter(tmp_path, case):
    write(tmp_path, RECORDED[case])
    for order in itertools.permutations(RECORDED[case]):
        assert names(find([f"{tmp_path}/{name}" for name in order], warn=pytest.fail)) == list(RECORDED[case])


def test_sets_of_different_folders_and_names_stay_apart_in_the_order_given(tmp_path):
    for host in ("second", "first"):
        (tmp_path / host).mkdir()
        write(tmp_path / host, RECORDED["asterisk rotate"] | RECORDED["freeswitch by size"])
    found = [source.path for source in find([f"{tmp_path}/second", f"{tmp_path}/first"], warn=pytest.fail)]
    assert [path.split("/")[-2] for path in found] == ["second"] * 10 + ["first"] * 10
    wanted = list(RECORDED["freeswitch by size"]) + list(RECORDED["asterisk rotate"])
    assert [path.split("/")[-1] for path in found[:10]] == wanted


@pytest.mark.parametrize(
    ("modified", "wanted"),
    [
        ({"full.0": 1, "full.1": 2, "full": 3}, ["full.0", "full.1", "full"]),
        ({"full.0": 2, "full.1": 1, "full": 3}, ["full.1", "full.0", "full"]),
        ({"full.1": 2, "full.2": 1, "full": 3}, ["full.2", "full.1", "full"]),
        ({"full.0": 5, "full.1": 5, "full": 5}, ["full.0", "full.1", "full"]),
        ({"full.1": 5, "full.2": 5, "full": 5}, ["full.2", "full.1", "full"]),
    ],
)
def test_without_timestamps_in_the_content_names_and_modification_times_decide(tmp_path, modified, wanted):
    for name, when in modified.items():
        (tmp_path / name).write_text(DIALPLAN)
        os.utime(tmp_path / name, (when, when))
    assert names(find([str(tmp_path)], warn=pytest.fail)) == wanted


def test_some_timestamps_are_enough_to_tell_the_strategy(tmp_path):
    contents = dict(RECORDED["freeswitch by size"])
    contents["freeswitch-roll.log.4"] = contents["freeswitch-roll.log.2"] = DIALPLAN
    write(tmp_path, contents)
    assert names(find([str(tmp_path)], warn=pytest.fail)) == list(contents)


def test_a_time_that_is_none_is_passed_over(tmp_path):
    write(tmp_path, {"full.1": PLAIN.format("Nov 31 02:00:00") + PLAIN.format("Nov 30 02:00:00")})
    write(tmp_path, {"full.0": PLAIN.format("Nov 29 02:00:00"), "full": PLAIN.format("Xyz  1 02:00:00")})
    assert names(find([str(tmp_path)], warn=pytest.fail)) == ["full.0", "full.1", "full"]


@given(days=st.lists(st.integers(0, 300), min_size=2, max_size=6, unique=True), first=st.integers(0, 364))
def test_any_sequential_or_rotated_set_within_a_year_comes_in_order(tmp_path_factory, days, first):
    folder = tmp_path_factory.mktemp("set")
    calendar = [(month, day) for month in range(1, 13) for day in range(1, 32) if day <= 28 or month in (1, 3, 5, 7)]
    stamps = [calendar[(first + day) % len(calendar)] for day in sorted(day % len(calendar) for day in set(days))]
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    texts = [PLAIN.format(f"{months[month - 1]} {day:2d} 04:05:06") for month, day in stamps]
    for numbers in (range(len(texts)), range(len(texts), 0, -1)):
        contents = {f"full.{number}": text for number, text in zip(numbers, texts[:-1], strict=False)}
        for stale in folder.iterdir():
            stale.unlink()
        write(folder, contents | {"full": texts[-1]})
        assert names(find([str(folder)], warn=pytest.fail)) == [*contents, "full"]


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("full", "full"),
        ("full.0", "full"),
        ("full.10.gz", "full"),
        ("full.1795228400", "full"),
        ("full-20261120.zst", "full"),
        ("full-20261120-1795228400.xz", "full"),
        ("full.old", "full"),
        ("freeswitch.log.2026-11-20-10-00-00.1", "freeswitch.log"),
        ("freeswitch.log.1.bz2", "freeswitch.log"),
        ("messages.log-2026112010", "messages.log"),
        ("asterisk16.log", "asterisk16.log"),
        ("full-0044.log", "full-0044.log"),
        ("\n", "\n"),
    ],
)
def test_a_name_tells_its_family(name, family):
    assert log_name(name).family == family
