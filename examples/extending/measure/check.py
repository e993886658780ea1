"""Plans ask for the new measure, archives record it, and the commands and the report show it."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rescaling_core.metadata import read_metadata
from tasks.jobs.report.page import Report, render_report
from tasks.jobs.report.previews import show
from tasks.jobs.report.summary import COLUMNS, account_of
from tasks.plans.toml import read_plan
from tests.small_archive import small_archive

PLAN = """
[[targets]]
target = "x2"
floor = { mean_error = 3.5, margin_mean_error = 0.1 }
candidates = [{ rescaler = "none", codec = "webp", quality = { min = 1, max = 100 } }]
"""
floor = read_plan(PLAN, name="plan").targets[0].floor
assert (floor.mean_error, floor.margin_mean_error) == (3.5, 0.1)

with tempfile.TemporaryDirectory() as folder:
    made = small_archive(folder, Path(folder), 2, ("x2",))
    made.run("x4", floor=("mean_error=40",), run_id="run-2")
    for row in made.rows():
        assert row.state == "archived", row
        assert 0 < row.mean_error < 40, row
        assert read_metadata(made.archive.get(row.lr_key)).mean_error == row.mean_error
    run = next(run for run in made.catalog.runs() if run.run_id == "run-2")
    (last,) = (
        row for row in made.rows() if row.source_key == "roll 0/photo 0.png" and row.target == "x4"
    )
    page = render_report(
        Report(
            archive=made.archive_url,
            run=run,
            account=account_of(made.catalog.batches(columns=COLUMNS), worst=1),
            shown=(show(made.archive, last),),
            made_at=run.finished_at,
        )
    )
    assert "mean error of 40 levels" in page
    assert "Histogram of the restored mean error" in page
    assert f"{last.mean_error:.2f} levels" in page
    command = [sys.executable, "-m", "flows.cli", "ls", made.archive_url, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert all(row["mean_error"] > 0 for row in json.loads(done.stdout)), done.stdout
print("ok")
