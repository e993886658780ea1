"""`refold report` after a real run, and its page in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import RefoldHere, photograph
from tests.servers.chromium import Chromium

pytestmark = pytest.mark.slow

HOSTILE = "<script>alert(1)<script> a\"b'.png"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, all_here: RefoldHere) -> Path:
    """Of four photographs, one of them damaged, and of one that is kept."""
    root = tmp_path_factory.mktemp("report")
    photos = root / "photos"
    photos.mkdir()
    photograph("astronaut", 101, 140).save(photos / HOSTILE)
    photograph("coffee", 96, 120).save(photos / "coffee.png")
    photograph("chelsea", 90, 110).save(photos / "cat.png")
    whole = (photos / "cat.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    photograph("camera", 80, 80).convert("1").save(photos / "bilevel.png")
    asked = ("--target", "x2", "--floor", "psnr_y=30", "--report", "--json")
    ran = all_here("archive", str(photos), str(root / "archive"), *asked)
    assert ran.code == 3, ran.err
    page = root / "archive" / "reports" / ran.json["run_id"] / "index.html"
    assert ran.json["report"]["location"] == str(page)
    assert "cut.png" in page.read_text("utf-8")
    assert (ran.json["archived"], ran.json["kept"], ran.json["quarantined"]) == (3, 1, 1)
    return root / "archive"


def test_the_page_shows_the_run_in_a_browser(
    archive: Path, all_here: RefoldHere, chromium: Chromium
) -> None:
    ran = all_here("report", str(archive), "--worst", "2", "--json")
    assert ran.code == 0, ran.err
    page = archive / "reports" / ran.json["run_id"] / "index.html"
    assert ran.json["location"] == str(page)
    assert ran.json["nbytes"] == page.stat().st_size
    rows = all_here("ls", str(archive), "--json").json
    archived = [row for row in rows if row["state"] == "archived"]
    (found,) = ran.json["targets"].values()
    assert found["stored_bytes"] == sum(row["lr_bytes"] for row in archived)
    assert found["psnr_y"]["min"] == round(min(row["psnr_y"] for row in archived), 2)

    for width in (1000, 390):
        seen = chromium.visit(page, width)
        assert seen.requests == [page.as_uri()]
        assert len(seen.images) == 4
        assert all(pixels > 0 for pixels in seen.images)
        assert seen.unnamed == 0
        assert seen.overflow <= 0
        assert "script" not in seen.tags
    text = " ".join(seen.text.split())
    assert "Of 5 sources, 3 were archived, 1 kept as they are, 1 put into quarantine" in text
    assert "The floor was PSNR-Y of 30 dB" in text
    assert "cut.png" in text
    assert "truncated" in text
    assert "bilevel.png" in text
    worst = sorted(archived, key=lambda row: row["psnr_y"])[:2]
    assert all(row["source_key"] in text for row in worst)
    assert f"{worst[0]['psnr_y']:.2f} dB" in text


def test_a_browser_would_tell_of_a_broken_page(tmp_path: Path, chromium: Chromium) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="none.png"><img alt="" src="data:image/png;base64,AAAA"><p>hello')
    seen = chromium.visit(page)
    assert seen.images == [0, 0]
    assert seen.unnamed == 1
    assert seen.requests == [page.as_uri(), (tmp_path / "none.png").as_uri()]
    assert "hello" in seen.text


def test_a_refused_restoration_is_shown_and_fails(
    archive: Path, all_here: RefoldHere, tmp_path: Path
) -> None:
    rows = all_here("ls", str(archive), "--json").json
    row = next(row for row in rows if row["source_key"] == "coffee.png")
    lr_file, output = archive / row["lr_key"], tmp_path / "page.html"
    whole = lr_file.read_bytes()
    try:
        lr_file.write_bytes(whole[:-1])
        ran = all_here("report", str(archive), "--output", str(output))
    finally:
        lr_file.write_bytes(whole)
    assert ran.code == 1
    assert ran.out.strip() == str(output)
    assert "coffee.png at x2: restoration refused: RestorationMismatchError" in ran.err
    html = output.read_text("utf-8")
    assert "The restoration was refused: RestorationMismatchError" in html
    assert html.count("<img ") == 4  # of the two that were restored


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--run", "nonesuch"), ("nonesuch", "(archive)")),
        (("--worst", "101"), ("--worst 101",)),
        (("--output", "nowhere/page.html"), ("nowhere",)),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    archive: Path, all_here: RefoldHere, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    ran = all_here("report", str(archive), *arguments)
    assert ran.code == 2
    (line,) = (line for line in ran.err.splitlines() if line.startswith("refold:"))
    assert all(word in line for word in words)
    assert "Traceback" not in ran.err


def test_what_is_no_archive_is_refused(tmp_path: Path, all_here: RefoldHere) -> None:
    ran = all_here("report", str(tmp_path))
    assert ran.code == 2
    assert "no archive there" in ran.err
