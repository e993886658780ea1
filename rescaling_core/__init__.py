"""Refold's pure library: photographs in, renditions out, and back.

Values in, values out: no storage, no cluster, no clock, no network, no log.
"""

__version__ = "0.1.0"
