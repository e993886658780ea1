"""Packs as files: what is put in comes out, here and by `tar`, and damage hides nothing else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import RestorationMismatchError
from rescaling_core.plan import ArchivePlan, Candidate, Target, TargetPlan
from tasks.renditions import circumstances, packs
from tasks.renditions.files import read_lr
from tasks.renditions.packs import BLOCK, Gap, Member, lr_key_of, member_name, members_of, packed
from tasks.renditions.writing import ShardFiles
from tasks.storage import open_store
from tests.rows import row

KEYS = st.text(min_size=1, max_size=300)
FILES = st.dictionaries(KEYS, st.binary(min_size=1, max_size=2000), min_size=1, max_size=5)


@settings(max_examples=40)
@given(FILES)
def test_what_is_packed_is_found_where_it_is_said_to_lie(files: dict[str, bytes]) -> None:
    data, offsets = packed(files.items())
    assert packed(files.items()) == (data, offsets)
    for key, content in files.items():
        at = offsets[key]
        assert data[at : at + len(content)] == content
        assert packs.is_header_of(data[at - BLOCK : at], len(content))
    found = list(members_of(data))
    assert found == [Member(key, offsets[key], len(files[key])) for key in files]


@settings(max_examples=40)
@given(FILES, st.integers(0, 2**33 - 1))
def test_the_size_of_a_pack_is_known_before_it_is_made(files: dict[str, bytes], time: int) -> None:
    data, _ = packed(files.items(), dict.fromkeys(files, time))
    content = sum(packs.bytes_in_pack(key, len(content)) for key, content in files.items())
    assert packs.pack_size(content) == len(data)
    assert {one.written for one in members_of(data) if isinstance(one, Member)} == {time}


@given(KEYS)
def test_no_name_in_a_pack_leads_out_of_the_folder_it_is_unpacked_into(key: str) -> None:
    name = member_name(key)
    assert lr_key_of(name) == key
    assert not {"", ".", ".."} & set(name.split("/"))
    assert not any(ord(letter) < 32 or letter == "\\" for letter in name)


@given(FILES, st.data())
def test_of_a_pack_that_is_cut_short_the_files_before_the_cut_are_found(
    files: dict[str, bytes], draw: st.DataObject
) -> None:
    data, offsets = packed(files.items())
    last = max(offsets[key] + len(files[key]) for key in files)
    cut = draw.draw(st.integers(0, last - 1))
    found = list(members_of(data[:cut]))
    assert isinstance(found[-1], Gap)
    there = {one.lr_key for one in found if isinstance(one, Member)}
    assert there >= {key for key in files if offsets[key] + len(files[key]) <= cut}


@given(st.binary(max_size=4 * BLOCK))
def test_what_is_no_pack_is_read_to_its_end(data: bytes) -> None:
    list(members_of(data))


def test_files_behind_a_damaged_header_are_found_again() -> None:
    files = {f"renditions/x2/{name}.png/1.png": name.encode() * 700 for name in "abcd"}
    data, offsets = packed(files.items())
    first, second, third, fourth = files
    broken = bytearray(data)
    broken[offsets[second] - BLOCK] ^= 1
    found = list(members_of(bytes(broken)))
    assert [one.lr_key for one in found if isinstance(one, Member)] == [first, third, fourth]
    (gap,) = [one for one in found if isinstance(one, Gap)]
    assert gap.offset == offsets[second] - BLOCK


def _plan(store: str) -> TargetPlan:
    candidate = Candidate("lanczos", CodecSpec("webp", 80))
    return TargetPlan(target=Target(long_edge=64), candidates=(candidate,), store=store)


def _made(data: bytes) -> SimpleNamespace:
    return SimpleNamespace(lr_data=data, target=Target(long_edge=64), extension=".webp")


def test_a_pack_that_is_full_is_written_and_another_begun(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    files = ShardFiles(store, ArchivePlan(targets=(_plan("packs"),)), most=2500)
    contents = {f"{number}.png": bytes([number]) * size for number, size in
                enumerate((1000, 1000, 1000, 5000, 10))}  # fmt: skip
    places = {key: files.put(key, _made(data)) for key, data in contents.items()}
    rows = files.placed(
        row(key, lr_key=place.lr_key, lr_bytes=place.lr_bytes, lr_sha256=place.lr_sha256)
        for key, place in places.items()
        if key != "4.png"  # something else of this source went wrong
    )
    listed = {info.key: store.get(info.key) for info in store.list()}
    assert {one.pack_key for one in rows} == set(listed)
    sizes = []
    for one in rows:
        start = one.pack_offset
        assert listed[one.pack_key][start : start + one.lr_bytes] == contents[one.source_key]
    for data in listed.values():
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            sizes.append([member.size for member in tar])
    assert sorted(sizes) == [[1000], [1000, 1000], [5000]]


def test_how_files_are_stored_makes_no_kept_source_one_to_look_at_again() -> None:
    assert circumstances.conversion(_plan("packs")) == circumstances.conversion(_plan("objects"))


@pytest.mark.parametrize("offset", [None, -600, 0, 10**15])
def test_a_row_with_an_impossible_place_names_nothing(tmp_path: Path, offset: int | None) -> None:
    store = open_store(str(tmp_path))
    store.put("packs/x2/a.tar", b"x" * 2000)
    damaged = row(pack_key="packs/x2/a.tar", pack_offset=offset)
    with pytest.raises(RestorationMismatchError, match=r"a\.png-x2 in packs/x2/a\.tar"):
        read_lr(store, damaged.place)
