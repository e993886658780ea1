"""Why a worker died, in one line of the many that Ray says."""

from __future__ import annotations

import re
from typing import Final

_DETAIL: Final = re.compile(
    r"Worker exit detail: (.*?)(?:There are some potential root causes|\n|$)"
)
_FIELD: Final = re.compile(r"\s+\w+: ")
_LONGEST: Final = 300


def why_died(error: BaseException) -> str:
    """What an error of Ray's says about a worker's end.

    Ray begins with a sentence that says only that it died, and goes on with its id, its node and
    the like. What it died of is the detail of its exit, or the last line where its constructor
    failed.
    """
    text = str(error).strip()
    lines = [line for line in text.splitlines() if line.strip() and not _FIELD.match(line)]
    if found := _DETAIL.search(text):
        detail = found[1].strip().rstrip(".")
        # A process that the kernel ends tells nobody why.
        memory = "; the usual reason is a lack of memory" if "End of file" in detail else ""
        return f"{detail[:_LONGEST]}{memory}"
    if not lines:
        return type(error).__name__
    if "creation task" in lines[0]:
        return lines[-1].strip()[:_LONGEST]
    # Behind the first sentence, which says no more than that it died.
    return (lines[1] if len(lines) > 1 else lines[0]).strip()[:_LONGEST]
