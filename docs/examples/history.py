"""A history for a Prometheus out of one page of metrics: every counter grows by the page's value in each minute.

python3 docs/examples/history.py docs/examples/acme.prom > acme.om
promtool tsdb create-blocks-from openmetrics acme.om data

It begins a quarter of an hour ago and goes on for three, so that there is something to ask for while one tries.
"""  # noqa: INP001 a script, in no package

import sys
import time
from pathlib import Path

STEP = 10
BEHIND, AHEAD = 15 * 60, 45 * 60

now = int(time.time()) // STEP * STEP
for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
    if line and not line.startswith("#"):
        series, value = line.rsplit(" ", 1)
        for step in range((BEHIND + AHEAD) // STEP + 1):
            sys.stdout.write(f"{series} {round(float(value) / 60 * STEP * step, 6)} {now - BEHIND + step * STEP}\n")
sys.stdout.write("# EOF\n")
