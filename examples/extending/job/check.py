"""The new command counts what a real archive holds."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.small_archive import small_archive

with tempfile.TemporaryDirectory() as folder:
    made = small_archive(folder, Path(folder), 2, ("x2",))
    command = [sys.executable, "-m", "flows.cli", "census", made.archive_url, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["x2"]["archived"] == 2, done.stdout
print("ok")
