"""What stands below `--help` of each command: how it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "archive": (
        "refold archive photos archive",
        "refold archive s3://photos s3://archive --preset viewable --floor psnr_y=36",
    ),
    "plan": ("refold plan photos --sample 50 --html costs.html", "refold plan --show balanced"),
    "restore": ("refold restore archive restored --all", "refold restore archive out '2019/*'"),
    "rebuild": ("refold rebuild s3://archive",),
    "scrub": ("refold scrub archive --sample 0.01", "refold scrub archive --repair photos"),
    "backfill": ("refold backfill archive --target long-edge=256",),
    "retire": ("refold retire photos archive --older-than 30d --floor psnr_y=34",),
    "maintain": ("refold maintain archive --dry-run",),
    "export": ("refold export archive dataset --webdataset",),
    "report": ("refold report archive",),
    "ls": ("refold ls archive '2019/*'", "refold ls archive --where \"state = 'kept'\" --json"),
    "show": ("refold show archive", "refold show archive 2019/pier.jpg"),
    "serve": ("refold serve s3://archive", "refold serve --new-key curator"),
    "doctor": ("refold doctor", "refold doctor s3://archive --write"),
    "demo": ("refold demo",),
    "evaluate": ("refold evaluate benchmark-sets --rescaler irn-x2-lite",),
    "train": ("refold train --config irn-x2-lite --data photos --out runs/mine",),
    "models list": ("refold models list",),
    "models show": ("refold models show irn-x2-lite",),
    "models import": ("refold models import IRN_x2.pth --family irn --scale 2",),
    "models download": (
        "refold models download s3://bucket/irn-x2.safetensors --sha256 5f0c9e5b…",
    ),
}


def examples_of(command: str) -> str:
    """The text below a command's help; each line is a paragraph, or they would be run together.

    Of a command that has been added and has no examples yet it is empty.
    """
    return "\n\n".join(("Examples:", *EXAMPLES[command])) if command in EXAMPLES else ""
