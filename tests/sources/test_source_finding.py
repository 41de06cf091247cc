"""Paths, globs, folders, streams and the usual places: what is taken, what is left, what is warned of."""

import grp
import io
import os
import pwd
import stat
import subprocess
import sys
import threading

import pytest
from source_archives import ARCHIVES, LINE, PACK, drained, read

from siplogs.errors import SourceError
from siplogs.sources import Source, find
from siplogs.sources.finding import USUAL_PLACES

PCAP = b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + bytes(range(256)) * 20
NAME = pwd.getpwuid(os.geteuid() or 65534).pw_name
NOTES = "Call the carrier on Monday.\nAsk about SIP/2.0 488.\n"


def relative(sources, folder):
    return [source.path.removeprefix(f"{folder}/") for source in sources]


@pytest.fixture
def warnings():
    return []


def test_a_named_file_means_that_file_only(tmp_path, warnings):
    for name in ("full", "full.1", "anything.at.all"):
        (tmp_path / name).write_bytes(LINE)
    assert relative(find([f"{tmp_path}/full"], warn=warnings.append), tmp_path) == ["full"]
    assert relative(find([f"{tmp_path}/anything.at.all"], warn=warnings.append), tmp_path) == ["anything.at.all"]
    assert not warnings


def test_a_folder_means_the_logs_in_it(tmp_path, warnings):
    logs = ["full", "full.1.gz", "debug.log", "security", "customer-full.2", "pbx-trace.log", "console.txt"]
    for name in logs:
        (tmp_path / name).write_bytes(LINE)
    others = {"trace.pcap": PCAP, "core.1234": b"\x7fELF" + bytes(500), "notes.txt": NOTES.encode(), "queue_log": LINE}
    others |= {"dpkg.log": b"2026-11-21 01:00:00 status installed\n", "trace.log.gz": PACK["gzip"](PCAP), "x.log": b""}
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "full.3").mkdir()
    (tmp_path / "full.4").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "full.5")
    assert sorted(relative(find([str(tmp_path)], warn=warnings.append), tmp_path)) == sorted(logs)
    assert not warnings


@pytest.mark.parametrize(
    ("age", "found"), [(-5, ["full"]), (0, ["full"]), (600, ["full"]), (90_000, ["full", "messages", "messages.1"])]
)
def test_messages_count_where_no_full_has_them_all(tmp_path, warnings, age, found):
    """Asterisk writes what stands in `messages` into `full` as well, unless somebody switched that off."""
    for name in ("full", "messages", "messages.1"):
        (tmp_path / name).write_bytes(LINE)
    os.utime(tmp_path / "full", (1e9 - age, 1e9 - age))
    os.utime(tmp_path / "messages", (1e9, 1e9))
    os.utime(tmp_path / "messages.1", (1e9 - 86_400, 1e9 - 86_400))
    assert sorted(relative(find([str(tmp_path)], warn=warnings.append), tmp_path)) == found
    assert not warnings


def test_a_log_by_name_that_is_none_is_warned_of_in_a_folder_too(tmp_path, warnings):
    (tmp_path / "full").write_bytes(LINE)
    (tmp_path / "full.1").write_bytes(PCAP)
    (tmp_path / "full.2").write_bytes(b"")
    assert relative(find([str(tmp_path)], warn=warnings.append), tmp_path) == ["full"]
    assert [text.partition(": ")[0] for text in warnings] == [f"{tmp_path}/full.1", f"{tmp_path}/full.2"]
    assert "packet capture" in warnings[0]
    assert "empty" in warnings[1]


def test_a_glob_means_what_it_matches(tmp_path, warnings):
    for name in ("a.one", "b.one", "c.two"):
        (tmp_path / name).write_bytes(LINE)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "d.one").write_bytes(LINE)
    assert relative(find([f"{tmp_path}/*.one"], warn=warnings.append), tmp_path) == ["a.one", "b.one"]
    found = find([f"{tmp_path}/**/*.one"], warn=warnings.append)
    assert relative(found, tmp_path) == ["a.one", "b.one", "deep/er/d.one"]
    assert not warnings


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path, warnings):
    (tmp_path / "full[1]").write_bytes(LINE)
    (tmp_path / "full1").write_bytes(LINE)
    assert relative(find([f"{tmp_path}/full[1]"], warn=warnings.append), tmp_path) == ["full[1]"]


def test_the_same_file_is_read_once(tmp_path, warnings, monkeypatch):
    (tmp_path / "full").write_bytes(LINE)
    (tmp_path / "link").symlink_to(tmp_path / "full")
    (tmp_path / "hard").hardlink_to(tmp_path / "full")
    monkeypatch.chdir(tmp_path)
    found = find(["full", "./full", str(tmp_path / "full"), "link", "hard", "f*", "."], warn=warnings.append)
    assert [source.path for source in found] == ["full"]
    assert not warnings


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("missing", "no such file"),
        ("miss*", "nothing matches"),
        ("full/below", "a part of the path is a file"),
        ("ring", "symbolic links go in circles"),
        ("empty", "the file is empty"),
        ("empty.gz", "the gzip archive is empty"),
        ("folder", "no log of Asterisk or FreeSWITCH in this folder"),
        ("nul\0byte", "not a possible path"),
        ("trace.pcap", "packet capture"),
        ("core", "core dump"),
        ("random", "binary content"),
        ("logs.tar.gz", "archive of several files"),
        ("utf16", "UTF-16"),
        ("cut.gz", "the gzip archive is cut off"),
    ],
)
def test_each_bad_path_is_one_warning_with_its_name_and_the_rest_goes_on(tmp_path, warnings, path, what):
    contents = {"full": LINE, "empty": b"", "empty.gz": PACK["gzip"](b""), "trace.pcap": PCAP}
    contents |= {"core": b"\x7fELF\x02\x01" + bytes(90), "random": bytes(range(256)) * 40}
    contents |= {"logs.tar.gz": PACK["gzip"](b"full".ljust(257, b"\0") + b"ustar".ljust(255, b"\0") + LINE)}
    contents |= {"utf16": LINE.decode().encode("utf-16"), "cut.gz": PACK["gzip"](LINE)[:10]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "ring").symlink_to("ring")
    found = find([f"{tmp_path}/{path}", f"{tmp_path}/full"], warn=warnings.append)
    assert relative(found, tmp_path) == ["full"]
    assert len(warnings) == 1
    assert what in warnings[0]
    assert warnings[0].startswith(f"{tmp_path}/{path}".replace("\0", "\\x00") + ": ")


def test_a_name_with_control_characters_stays_on_one_line(tmp_path, warnings):
    find([f"{tmp_path}/a\n\x1b[31mb"], warn=warnings.append)
    find([os.fsdecode(os.fsencode(tmp_path) + b"/\xff")], warn=warnings.append)
    assert all(text.isprintable() for text in warnings)
    assert "a\\n\\x1b[31mb" in warnings[0]


def unprivileged(work):
    """Run `work` as a user without rights (here, unless we are root) and return the text that it returns."""
    if os.geteuid():
        return work()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writing, work().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


@pytest.fixture
def open_folder(tmp_path):
    """A folder that any user may look into, with a log that only its owner may read."""
    (tmp_path / "full").write_bytes(LINE)
    (tmp_path / "full").chmod(0o600 if os.geteuid() == 0 else 0)
    (tmp_path / "full.1").write_bytes(LINE)
    opened = [folder for folder in (tmp_path, *tmp_path.parents) if not folder.stat().st_mode & 0o001]
    modes = [(folder, folder.stat().st_mode) for folder in opened]
    for folder in opened:
        folder.chmod(0o755)
    yield tmp_path
    for folder, mode in modes:
        folder.chmod(mode)


@pytest.mark.parametrize("argument", ["", "/full*", "/full"])
def test_a_log_that_must_not_be_read_is_a_warning_with_the_remedy(open_folder, argument):
    def work():
        texts = []
        found = find([f"{open_folder}{argument}", f"{open_folder}/full.1"], warn=texts.append)
        return "\n".join([*texts, *relative(found, open_folder)])

    warning, *found = unprivileged(work).split("\n")
    assert warning.startswith(f"{open_folder}/full: permission denied for the user {NAME}; let its group (adm, ")
    status = (open_folder / "full").stat()
    owner, group = pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    assert warning.endswith(f"into the group: usermod -aG GROUP {NAME} (now {owner}:{group}, mode {mode})")
    assert found == ["full.1"]


def test_a_log_that_a_group_may_read_names_it(open_folder):
    log = open_folder / "full"
    if os.geteuid() == 0:
        os.chown(log, 0, 4)
    log.chmod(0o040)

    def work():
        texts = []
        assert find([str(log)], warn=texts.append) == []
        return "\n".join(texts)

    remedy = f"usermod -aG {grp.getgrgid(log.stat().st_gid).gr_name} {NAME}, and restart what ships (or log in again)"
    assert unprivileged(work) == f"{log}: permission denied for the user {NAME}; {remedy}"


@pytest.mark.parametrize("argument", ["", "/full"])
def test_a_folder_that_must_not_be_entered_is_a_warning(open_folder, argument):
    (open_folder / "asterisk").mkdir(mode=0o700 if os.geteuid() == 0 else 0)

    def work():
        texts = []
        assert find([f"{open_folder}/asterisk{argument}"], warn=texts.append) == []
        return "\n".join(texts)

    text = unprivileged(work)
    (open_folder / "asterisk").chmod(0o700)
    assert text.startswith(f"{open_folder}/asterisk{argument}: permission denied for the user {NAME}; let its group ")
    assert "\n" not in text


def populate(root, names):
    for name in names:
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(LINE)


def usual(root, warnings):
    return [source.path.removeprefix(str(root)) for source in find([], warn=warnings.append, root=str(root))]


def test_without_paths_the_usual_places_are_read_with_their_rotations(tmp_path, warnings):
    asterisk = ["/var/log/asterisk/full.1", "/var/log/asterisk/full"]
    freeswitch = ["/var/log/freeswitch/freeswitch.log.2026-11-20-10-00-00.1", "/var/log/freeswitch/freeswitch.log"]
    beside = ["/var/log/asterisk/messages", "/var/log/asterisk/security", "/var/log/asterisk/queue_log"]
    populate(tmp_path, asterisk + freeswitch + beside)
    assert usual(tmp_path, warnings) == asterisk + freeswitch
    assert not warnings


def test_where_full_is_missing_messages_and_security_stand_in(tmp_path, warnings):
    populate(tmp_path, [f"/var/log/asterisk/{name}" for name in ("messages.log", "messages.log.1.gz", "security.log")])
    found = [path.removeprefix("/var/log/asterisk/") for path in usual(tmp_path, warnings)]
    assert found == ["messages.log.1.gz", "messages.log", "security.log"]
    assert not warnings


@pytest.mark.parametrize("place", [folder for folder, _ in USUAL_PLACES])
def test_every_usual_place_is_looked_into(tmp_path, warnings, place):
    name = "full" if "asterisk" in place else "freeswitch.log"
    populate(tmp_path, [f"{place}/{name}"])
    assert usual(f"{tmp_path}/", warnings) == [f"/{f'{place}/{name}'.lstrip('/')}"] or not warnings


def test_nothing_in_the_usual_places_says_what_to_do(tmp_path, warnings):
    assert usual(tmp_path, warnings) == []
    assert len(warnings) == 1
    assert "name yours: siplogs scan /path/to/full, or as paths of [[input]]" in warnings[0]


def test_an_unreadable_log_in_a_usual_place_is_not_replaced_by_another(tmp_path, warnings):
    populate(tmp_path, ["/var/log/asterisk/full", "/var/log/asterisk/messages"])
    (tmp_path / "var/log/asterisk/full").write_bytes(b"")
    assert usual(tmp_path, warnings) == []
    assert len(warnings) == 1
    assert "/var/log/asterisk/full: the file is empty" in warnings[0]


READ_STANDARD_INPUT = """
import sys
from siplogs.sources import find
[source] = find(["-", "-"], warn=sys.exit)
early = source.identity() if sys.argv[1] == "early" else ""
blocks, told = [], []
try:
    blocks += source.blocks(size=7000, on_bytes=told.append)
except Exception as error:
    print(type(error).__name__, error, file=sys.stderr)
assert all(0 < len(block) <= 7000 for block in blocks)
late = source.identity()
assert early in ("", late)
print(source.path, source.size, source.modified, source.compression or "plain", source.seekable, late, sum(told))
sys.stdout.flush()
sys.stdout.buffer.write(b"".join(blocks))
"""


def through_standard_input(data, when="late"):
    command = [sys.executable, "-c", READ_STANDARD_INPUT, when]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("compression", PACK)
def test_standard_input_may_be_compressed_too(tmp_path, compression, when):
    content = b"".join(b"%d %s" % (number, LINE) for number in range(3000))
    (tmp_path / "full").write_bytes(content)
    data = PACK[compression](content)
    facts, _, came = through_standard_input(data, when).stdout.partition(b"\n")
    identity = Source.of(str(tmp_path / "full")).identity()
    assert facts.decode() == f"- None None {compression or 'plain'} False {identity} {len(data)}"
    assert came == content


def test_standard_input_that_is_binary_cut_or_empty():
    assert b"SourceError standard input: this is a packet capture" in through_standard_input(PCAP).stderr
    result = through_standard_input(PACK["gzip"](LINE * 5000)[:-100])
    assert b"SourceError standard input: the gzip archive is cut off" in result.stderr
    assert LINE * 100 in result.stdout
    result = through_standard_input(b"")
    assert result.stdout == b"- None None plain False  0\n"
    assert result.stderr == b"SourceError standard input: nothing came; see whether the command before it failed\n"
    assert b"nothing came" in through_standard_input(PACK["gzip"](b"")).stderr


def test_a_line_on_a_stream_arrives_before_the_stream_ends(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    [source] = find([str(path)], warn=pytest.fail)
    arrived = threading.Event()

    def write():
        with path.open("wb", buffering=0) as pipe:
            pipe.write(LINE)
            arrived.wait(30)
            pipe.write(LINE)

    writer = threading.Thread(target=write)
    writer.start()
    blocks = source.blocks()
    assert next(blocks) == LINE
    arrived.set()
    assert b"".join(blocks) == LINE
    writer.join()
    assert (source.size, source.seekable) == (None, False)


@pytest.mark.parametrize("compression", ARCHIVES)
def test_a_named_pipe_is_read_like_standard_input(tmp_path, compression):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    [source] = find([str(path)], warn=pytest.fail)
    writer = threading.Thread(target=path.write_bytes, args=(PACK[compression](LINE * 2000),))
    writer.start()
    assert b"".join(source.blocks(100, 150_000)) == (LINE * 2000)[100:150_000]
    writer.join()


def test_standard_input_in_memory_and_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINE)))
    assert read(find(["-"], warn=pytest.fail)[0]) == LINE
    monkeypatch.setattr(sys, "stdin", None)
    assert drained(find(["-"], warn=pytest.fail)[0].blocks())[1].startswith("standard input: cannot be read (it is cl")


def test_a_device_without_content_is_told():
    [source] = find(["/dev/null"], warn=pytest.fail)
    with pytest.raises(SourceError, match="^/dev/null: nothing came; see whether"):
        read(source)
