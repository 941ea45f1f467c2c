"""What the interpreter is set to."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

KEPT = """
import sys
from pathlib import Path
from apiservice.tuning import tune

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

if sys.argv[1] == "tuned":
    tune()
before = resident()
# glibc learns from a large block that comes and goes that keeping as much is worth it.
large = b"x" * (31 << 20)
del large
small = [b"x" * (1 << 20) for _ in range(40)]
del small
print((resident() - before) * 4)
"""


def kibibytes_kept(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", KEPT, how], stdout=subprocess.PIPE, check=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not this C library")
def test_memory_of_a_large_answer_is_given_back():
    assert kibibytes_kept("as it is") > 30_000
    assert kibibytes_kept("tuned") < 5_000
