"""A folder on a web server as a collection: its listing says neither sizes nor times."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tasks.storage import ObjectChangedError, open_store


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """URL of a server of the folder."""
    handler = partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_what_is_listed_there_is_read_as_it_was_listed(served: str, tmp_path: Path) -> None:
    """Every source was "changed", since the listing had no size for it."""
    photo = tmp_path / "photos" / "2019" / "a.png"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"photo")
    store = open_store(f"{served}/photos")
    (listed,) = store.list()
    assert (listed.key, listed.size) == ("2019/a.png", 5)
    assert store.get_version(listed.key, listed.etag) == b"photo"
    photo.write_bytes(b"other")  # of the same size
    os.utime(photo, (0, 0))
    with pytest.raises(ObjectChangedError):
        store.get_version(listed.key, listed.etag)
