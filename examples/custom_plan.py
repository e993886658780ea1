"""Archive with a plan of one's own: custom_plan.py SOURCE ARCHIVE."""

import sys

from flows.archive import archive
from tasks.plans.options import PlanOptions, build_plan

PLAN = """
[[targets]]
target = "x2"
floor = { psnr_y = 30 }
candidates = [
  { rescaler = "lanczos", codec = "webp", quality = 60, residual.quality = { min = 10, max = 90 } },
  { rescaler = "none", codec = "webp", quality = { min = 20, max = 95 }, sources = "jpeg" },
]
"""


def main() -> None:
    """Check the plan, archive by it, and say what was chosen."""
    source, into = sys.argv[1:]
    options = PlanOptions(plan_toml=PLAN, plan_name="my plan")
    print(f"targets: {', '.join(build_plan(options).target_names)}")  # refuses a wrong plan
    summary = archive(source=source, archive=into, options=options)
    for target, strategies in summary.strategies.items():
        for one in strategies:
            print(f"{target}: {one.strategy} was chosen {one.won} times")


if __name__ == "__main__":
    main()
