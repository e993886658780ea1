"""Folders as stores: names, links, and writers that die."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rescaling_core.errors import UsageError
from tasks.storage import (
    ObjectChangedError,
    ObjectNotFoundError,
    StorageError,
    UnstorableKeyError,
    open_store,
)
from tasks.storage.versions import bare_mark

PARTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1)


@settings(deadline=None)
@given(key=st.lists(PARTS, min_size=1, max_size=3).map("/".join))
@example(key="~")
@example(key="50%.png")
@example(key="%41.png")
@example(key="a?versionId=1#x")
@example(key="file:a b")
@example(key=" lead and trail ")
def test_any_key_comes_back_as_it_was_or_is_refused(tmp_path_factory, key):
    store = open_store(str(tmp_path_factory.mktemp("s") / "root"))
    try:
        assert store.put_new(key, b"data")
    except UnstorableKeyError:
        unfit = {"", ".", ".."} & set(key.split("/"))
        assert unfit or any(len(os.fsencode(part)) > 200 for part in key.split("/"))
        return
    assert [info.key for info in store.list()] == [key]
    assert store.get(key) == b"data"
    assert store.info(key).size == 4


@pytest.mark.parametrize(
    "key",
    [
        "../out",
        "a/../../out",
        "a//b",
        "/etc/passwd",
        "a/",
        ".",
        "",
        "a\0b",
        "\ud800",
        "\udcc3\udca9",
        "\uefc3\uefa9",
    ],
)
def test_a_key_that_would_leave_the_root_or_has_no_name_is_refused(tmp_path, key):
    store = open_store(str(tmp_path / "root"))
    for action in (store.get, store.info, store.delete, store.exists):
        with pytest.raises(UnstorableKeyError, match="cannot be a file"):
            action(key)
    with pytest.raises(UnstorableKeyError, match="cannot be a file"):
        store.put_new(key, b"")
    assert list(tmp_path.rglob("*")) == []


def test_names_that_are_no_utf8_get_keys_that_lead_back_to_them(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"latin")
    store = open_store(str(tmp_path))
    (info,) = store.list()
    assert info.key == "caf\uefe9.jpg"
    info.key.encode("utf-8")
    assert store.get(info.key) == b"latin"
    store.put(info.key, b"new")
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9.jpg"]


def test_a_name_that_already_uses_the_stand_ins_is_reported_not_mixed_up(tmp_path):
    (tmp_path / "caf\uefe9.jpg").write_bytes(b"")
    (tmp_path / "tea.jpg").write_bytes(b"")
    assert _told(open_store(str(tmp_path))) == {
        "caf\\uefe9.jpg": "NameUnspellable",
        "tea.jpg": None,
    }
    with pytest.raises(StorageError, match="rename it"):
        list(open_store(str(tmp_path)).list())


def test_listing_is_sorted_as_the_keys_are_and_starts_at_a_prefix(tmp_path):
    store = open_store(str(tmp_path))
    keys = ["a", "a.b/c", "a/b", "a0", "ab/c/d", "B", "é", "😀", "\uffee"]
    store.put_new("x/a", b"")
    for key in set(keys) - {"a/b"}:
        store.put_new(key, b"")
    expected = sorted({*keys, "x/a"} - {"a/b"})
    assert [info.key for info in store.list()] == expected
    for prefix in ("a", "ab/", "ab/c/d", "ab/c/de", "nothing", "x"):
        assert [i.key for i in store.list(prefix)] == [k for k in expected if k.startswith(prefix)]


@pytest.fixture
def linked(tmp_path):
    """A collection with links that lead out of it, back into it, nowhere and to themselves."""
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (root / "sub").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "far.png").write_bytes(b"far")
    (root / "own.png").write_bytes(b"own")
    (root / "near.png").symlink_to(elsewhere / "far.png")
    (root / "linked").symlink_to(elsewhere)
    (root / "linked-first.png").write_bytes(b"sorts before what is in linked/")
    (root / "sub" / "again.png").symlink_to("../own.png")
    (root / "sub" / "loop").symlink_to(root)
    (root / "dangling.png").symlink_to(tmp_path / "nowhere")
    (root / "itself").symlink_to("itself")
    return root


def _told(store, **options):
    return {
        found.info.key: found.trouble and found.trouble.error_class
        for found in store.survey(**options)
    }


def test_what_is_no_file_is_told_of_and_not_waited_for(tmp_path):
    """A pipe, a socket and a device were left out without a word."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "photo.png").write_bytes(b"photo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket.png"))
    store = open_store(str(tmp_path))
    assert [info.key for info in store.list()] == ["photo.png"]
    told = {found.info.key: found.trouble and found.trouble.reason for found in store.survey()}
    assert told == {
        "photo.png": None,
        "pipe.png": "a named pipe, not a file",
        "socket.png": "a socket, not a file",
    }
    with pytest.raises(ObjectNotFoundError, match="pipe"):
        store.get("pipe.png")


def test_links_are_not_followed_out_of_a_folder_but_told_of(linked):
    store = open_store(str(linked))
    assert [info.key for info in store.list()] == ["linked-first.png", "own.png"]
    assert _told(store) == {
        "dangling.png": "LinkBroken",
        "itself": "LinkBroken",
        "linked": "LinkLeadsOut",
        "linked-first.png": None,
        "near.png": "LinkLeadsOut",
        "own.png": None,
    }
    for key in ("near.png", "linked/far.png", "sub/again.png", "itself"):
        with pytest.raises(ObjectNotFoundError, match="links are not followed"):
            store.get(key)
        assert not store.exists(key)


def test_links_out_of_a_folder_are_followed_where_that_is_asked_for(linked):
    store = open_store(str(linked), follow_links=True)
    told = _told(store)
    assert list(told) == sorted(told)
    assert {key for key, trouble in told.items() if trouble is None} == {
        "linked-first.png",
        "linked/far.png",
        "near.png",
        "own.png",
    }
    assert store.get("linked/far.png") == b"far"
    assert pickle.loads(pickle.dumps(store)).get("near.png") == b"far"


def test_what_is_written_or_deleted_stays_below_the_root_whatever_links_there_are(linked):
    store = open_store(str(linked))
    far = linked.parent / "elsewhere" / "far.png"
    for write in (store.put, store.put_new):
        with pytest.raises(UnstorableKeyError, match="links are not followed"):
            write("linked/far.png", b"other")
        with pytest.raises(UnstorableKeyError, match="links are not followed"):
            write("linked/new/er.png", b"other")
    with pytest.raises(UnstorableKeyError, match="links are not followed"):
        store.delete("linked/far.png")
    store.put("near.png", b"in its place")
    store.delete("dangling.png")
    assert far.read_bytes() == b"far"
    assert list(far.parent.iterdir()) == [far]
    assert (linked / "near.png").read_bytes() == b"in its place"
    assert not (linked / "near.png").is_symlink()


def test_a_link_into_an_archive_is_not_followed_even_if_links_are(linked):
    archive = linked.parent / "elsewhere"
    place = open_store(str(archive)).place
    told = _told(open_store(str(linked), follow_links=True), avoid=[place])
    assert told["linked"] == told["near.png"] == "LinkLeadsOut"
    inside = open_store(str(linked / "sub")).place
    assert _told(open_store(str(linked)), avoid=[inside])["sub/"] == "ArchiveInside"


AS_NOBODY = """
import os, sys
from tasks.storage import ObjectUnreadableError, StorageError, open_store
if os.geteuid() == 0:  # whom no permission stops
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""


def _as_nobody(script, *arguments):
    """Run Python code as a user who may not read everything."""
    ran = subprocess.run(
        [sys.executable, "-c", AS_NOBODY + textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def locked():
    """A collection of which a folder and a file may not be read by others."""
    with tempfile.TemporaryDirectory() as name:  # what pytest gives only its own user may enter
        root = Path(name)
        root.chmod(0o755)
        for key in ("a.png", "lost+found/b.png", "z.png"):
            (root / key).parent.mkdir(exist_ok=True)
            (root / key).write_bytes(b"data")
        (root / "lost+found").chmod(0)
        (root / "a.png").chmod(0)
        yield root
        (root / "lost+found").chmod(0o755)


def test_a_folder_that_cannot_be_read_is_told_of_and_the_rest_is_listed(locked):
    told = _as_nobody(
        """
        for found in open_store(sys.argv[1]).survey():
            print(found.info.key, found.trouble and found.trouble.reason)
        """,
        locked,
    )
    assert told.splitlines() == [
        "a.png None",
        "lost+found/ the folder lost+found/ cannot be read: Permission denied",
        "z.png None",
    ]


def test_a_file_that_cannot_be_read_is_an_error_about_that_file(locked):
    told = _as_nobody(
        """
        store = open_store(sys.argv[1])
        for read in (store.get, lambda key: store.get_version(key, store.info(key).etag)):
            try:
                read("a.png")
            except ObjectUnreadableError as error:
                print(error)
        """,
        locked,
    )
    assert told.count("a.png cannot be read: Permission denied") == 2


def test_the_listing_of_an_archive_is_whole_or_an_error(locked):
    told = _as_nobody(
        """
        try:
            list(open_store(sys.argv[1]).list())
        except StorageError as error:
            print(error)
        """,
        locked,
    )
    assert "lost+found/ cannot be read: Permission denied" in told


@pytest.mark.parametrize("seconds", [-(2**31), -1, 2**40])
def test_times_that_no_calendar_has_are_no_reason_to_stop(tmp_path, seconds):
    path = tmp_path / "a.png"
    path.write_bytes(b"data")
    os.utime(path, ns=(seconds * 10**9 % 2**63, seconds * 10**9 % 2**63) if seconds > 0 else (0, 0))
    os.utime(path, (seconds, seconds))
    store = open_store(str(tmp_path))
    (info,) = store.list()
    assert info == store.info("a.png")
    assert store.get_version("a.png", info.etag) == b"data"
    assert info.modified is not None


@pytest.fixture
def deep(tmp_path):
    """A folder that is removed by the system's own tool: Python's needs a call for each level."""
    folder = tmp_path / "deep"
    folder.mkdir()
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.mark.slow
def test_folders_nested_deeper_than_calls_may_be_are_listed(deep):
    parent = os.open(deep, os.O_RDONLY)
    for _ in range(1050):  # calls may be a thousand deep
        os.mkdir("d", dir_fd=parent)
        below = os.open("d", os.O_RDONLY, dir_fd=parent)
        os.close(parent)
        parent = below
    descriptor = os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=parent)
    os.close(descriptor)
    os.close(parent)
    (key,) = [found.info.key for found in open_store(str(deep)).survey()]
    assert key == "d/" * 1050 + "f"


@pytest.mark.parametrize("back", [False, True])
def test_a_file_that_takes_the_place_of_the_listed_one_is_not_read_for_it(tmp_path, back):
    listed, other = tmp_path / "a.png", tmp_path / "b"
    listed.write_bytes(b"this")
    other.write_bytes(b"that")
    times = os.stat(listed)
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    store = open_store(str(tmp_path))
    etag = store.info("a.png").etag
    listed.rename(tmp_path / "aside")
    other.rename(listed)
    with pytest.raises(ObjectChangedError, match=r"a\.png is not what was listed"):
        store.get_version("a.png", etag)
    if back:
        (tmp_path / "aside").rename(listed)
        with pytest.raises(ObjectChangedError):
            store.get_version("a.png", etag)


def test_other_bytes_with_the_old_modification_time_have_another_etag(tmp_path):
    store = open_store(str(tmp_path))
    path = tmp_path / "a.png"
    path.write_bytes(b"this")
    before, times = store.info("a.png").etag, os.stat(path)
    path.write_bytes(b"that")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = store.info("a.png").etag
    assert after != before
    assert bare_mark(after) == bare_mark(before)


def test_an_etag_follows_the_content(tmp_path):
    store = open_store(str(tmp_path))
    store.put("a", b"1")
    before = store.info("a").etag
    assert store.info("a").etag == before
    os.utime(tmp_path / "a", ns=(1, 1))
    assert store.info("a").etag != before


def test_a_writer_killed_in_the_middle_leaves_nothing_under_the_name(tmp_path):
    script = textwrap.dedent(
        """
        import os, sys
        from tasks.storage import open_store
        fsync = os.fsync
        os.fsync = lambda descriptor: (print("written", flush=True), sys.stdin.read())
        open_store(sys.argv[1]).put_new("a/b.png", b"x" * 100_000)
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    store = open_store(str(tmp_path))
    assert len(list((tmp_path / "a").iterdir())) == 1  # the unfinished file
    assert list(store.list()) == []
    assert not store.exists("a/b.png")
    assert store.put_new("a/b.png", b"whole")
    assert [info.key for info in store.list()] == ["a/b.png"]


def test_a_file_where_a_folder_should_be_is_one_clear_error(tmp_path):
    store = open_store(str(tmp_path))
    store.put_new("a", b"")
    for write in (store.put, store.put_new):
        with pytest.raises(StorageError, match="a file lies where a folder should be"):
            write("a/b", b"")
    with pytest.raises(ObjectNotFoundError):
        store.get("a/b")


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    store = open_store(str(tmp_path))
    with pytest.raises(StorageError, match=r"cannot write a\.png .*No space left"):
        store.put_new("a.png", b"data")
    assert list(tmp_path.rglob("*")) == []


def test_a_path_that_is_too_long_is_refused_as_a_key(tmp_path):
    store = open_store(str(tmp_path))
    key = "/".join(["folder"] * 700)
    for write in (store.put, store.put_new):
        with pytest.raises(UnstorableKeyError, match="path is too long for a file"):
            write(key, b"data")
    assert list(store.list()) == []


def test_deleting_the_last_object_removes_its_folders_but_not_the_root(tmp_path):
    store = open_store(str(tmp_path / "root"))
    store.put_new("a/b/c", b"")
    store.delete("a/b/c")
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "empty"),
        ("s3://", "no bucket"),
        ("file://relative", "three slashes"),
        ("nosuch://x", "nosuch"),
    ],
)
def test_what_is_no_address_of_a_store_is_refused(url, reason, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with pytest.raises(UsageError, match=reason):
        open_store(url)


def test_missing_credentials_are_one_clear_line(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"^s3://bucket/x: no credentials found; set AWS_ACCESS"):
        open_store("s3://bucket/x")


@pytest.mark.parametrize("name", ["50%20", "a\\b"])
def test_an_address_delta_would_misread_is_refused_for_a_catalog(tmp_path, name):
    with pytest.raises(UsageError, match="archive's address cannot hold"):
        open_store(str(tmp_path / name)).delta_uri("catalog/renditions")


def test_file_urls_are_paths(tmp_path):
    open_store(f"file://{tmp_path}/a b").put_new("x", b"1")
    assert (tmp_path / "a b" / "x").read_bytes() == b"1"


def test_what_killed_writers_left_is_removed_once_it_is_old(tmp_path):
    store = open_store(str(tmp_path))
    store.put("a/photo.png", b"whole")
    half = [tmp_path / "a" / f".{i:016x}.refold-tmp" for i in range(2)]
    for path in half:
        path.write_bytes(b"half")
    os.utime(half[0], (1e9, 1e9))
    os.utime(tmp_path / "a" / "photo.png", (1e9, 1e9))
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    (found,) = store.remove_unfinished(hour_ago, dry_run=True)
    assert Path(found).exists()
    assert half[0].exists()
    assert store.remove_unfinished(hour_ago) == (found,)
    assert [path.exists() for path in half] == [False, True]
    assert store.get("a/photo.png") == b"whole"
