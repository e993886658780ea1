"""Work off a training queue where neither Prefect nor Ray is installed: on a bare machine.

    python infra/gpu/work_queue.py QUEUE             (in the repository's root)
    python infra/gpu/work_queue.py --folder QUEUE    check it, and say where its runs lie

`refold train --queue QUEUE` does the same as a flow run. Needed here: torch, numpy, pillow, fsspec,
pydantic, safetensors, simplejpeg.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rescaling_core.errors import UsageError
from tasks.jobs.train.pause import NEVER
from tasks.jobs.train.queue import due, make_way, read_queue
from tasks.jobs.train.working import work_off


def main() -> int:
    """Print a line of JSON for each run.

    Returns:
        1 if one failed, 2 if it is not a queue.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("queue")
    parser.add_argument(
        "--folder", action="store_true", help="begin nothing, print the folder of the runs"
    )
    given = parser.parse_args()
    try:
        queue = read_queue(given.queue)
        runs = [due(queue, run) for run in queue.runs]
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if given.folder:
        sys.stdout.write(f"{queue.out}\n")
        return 0
    make_way(queue)
    failed = False
    for run in runs:
        outcome = work_off(run, NEVER)
        failed |= outcome.state == "failed"
        sys.stdout.write(f"{json.dumps(asdict(outcome))}\n")
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
