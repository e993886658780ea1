"""Refold's pure library: photographs in, renditions out, and back.

Values in, values out: no storage, no cluster, no clock, no network, no log.
"""

__version__ = "0.1.0"

SOFTWARE = f"refold {__version__}"
"""Name and version, as restoration metadata and the table of runs state them."""
