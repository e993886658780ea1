"""The jobs of Refold as Prefect flows, one a file, and the command line."""

from __future__ import annotations

from tasks.control.forks import end_forks_well
from tasks.control.privacy import send_nothing
from tasks.control.quiet import tell_deliberate_errors_once

# Here, since whatever imports Prefect or Ray for a job comes by here first.
end_forks_well()
send_nothing()
tell_deliberate_errors_once()
