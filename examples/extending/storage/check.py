"""The new store reads what is there, travels between processes, and writes nothing."""

import pickle
import tempfile
from pathlib import Path

from tasks.storage import StorageError, open_store

with tempfile.TemporaryDirectory() as folder:
    Path(folder, "photo.png").write_bytes(b"data")
    store = pickle.loads(pickle.dumps(open_store(f"readonly://disk{folder}")))
    assert [info.key for info in store.list()] == ["photo.png"]
    assert store.get("photo.png") == b"data"
    for write in (lambda: store.put("x", b""), lambda: store.put_new("x", b"")):
        try:
            write()
        except StorageError as error:
            assert "only read" in str(error)
        else:
            raise AssertionError("it was written")
    assert [path.name for path in Path(folder).iterdir()] == ["photo.png"]
print("ok")
