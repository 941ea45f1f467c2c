"""The interpreter, set up for answers that are large, rare and soon forgotten."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from contextlib import suppress

__all__ = ["tune"]

_M_TRIM_THRESHOLD = -1
_GIVEN_BACK = 128 * 1024


def tune() -> None:
    """To be called once, when everything is imported and before anything is served."""
    # An answer is made of very many small objects without cycles. Looking for cycles after every 700 objects, as Python does by default,
    # adds a tenth to the time of making them, and more the more there are already. But connections leave cycles behind, with all their
    # buffers: they should not lie about for long. What is loaded once is not looked at.
    gc.freeze()
    gc.set_threshold(20_000, 5, 5)
    # Large answers are calculated in threads; the loop gets its turn after this long, not after five times as long.
    sys.setswitchinterval(0.001)
    # By default glibc keeps more of what was freed the larger it was: after an answer of 5 000 rows 50 MB that nobody needs. With a
    # fixed threshold it gives memory back (mallopt(3), M_TRIM_THRESHOLD). Other C libraries have no mallopt.
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_TRIM_THRESHOLD, _GIVEN_BACK)
    # Every connection is a file, and of the 1024 that are a usual default few are left when a cluster is busy. Go programs do the same.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
