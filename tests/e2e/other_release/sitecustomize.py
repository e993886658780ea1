"""Put on PYTHONPATH by a test: this release ships the weights of REFOLD_OTHER_WEIGHTS instead."""

import os
from pathlib import Path

import wrapt


@wrapt.when_imported("rescaling_core.zoo")
def ship_others(zoo) -> None:
    zoo.WEIGHTS_DIR = Path(os.environ["REFOLD_OTHER_WEIGHTS"])
