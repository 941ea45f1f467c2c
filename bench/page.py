"""The page of ``kubectl traffic dashboard`` with 200 workloads and 1 000 edges, in a real Chromium: waiting times and frames.

``python bench/page.py``; needs ``chromium`` and ``kubectl``. Without a graphics card Chromium draws with the processor, so that a
frame takes longer here than on any desk.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import Table

from tests.apiservice.memory import serving
from tests.page.browser import Tab, find_chromium, run_browser
from tests.page.meshes import large_mesh
from tests.page.serving import dashboard

_WATCH = """
globalThis.tasks = [];
new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({duration}) => duration)))
  .observe({type: 'longtask', buffered: true});
"""
_FRAMES = """
new Promise((resolve) => {
  const stage = document.querySelector('.stage');
  const box = stage.getBoundingClientRect();
  const [times, begin] = [[], performance.now()];
  let last = begin, count = 0;
  const act = () => { %s };
  const frame = (now) => {
    times.push(now - last);
    last = now;
    count += 1;
    if (now - begin > 2500) return resolve(JSON.stringify(times.slice(1)));
    act();
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})
"""
_ACTS = {
    "nothing moves": "",
    "moving": """
      const at = (x) => ({bubbles: true, button: 0, pointerId: 1, clientX: x, clientY: box.top + 200 + 40 * Math.sin(count / 9)});
      if (count === 1) { stage.setPointerCapture = () => {}; stage.dispatchEvent(new PointerEvent('pointerdown', at(600))); }
      stage.dispatchEvent(new PointerEvent('pointermove', at(600 + 200 * Math.sin(count / 20))));""",
    "zooming": """
      stage.dispatchEvent(new WheelEvent('wheel', {bubbles: true, cancelable: true, ctrlKey: true,
        clientX: box.left + 500, clientY: box.top + 250, deltaY: count % 60 < 30 ? -12 : 12}));""",
    "pointing at nodes": """
      const nodes = document.querySelectorAll('.node');
      if (count % 6 === 0) {
        nodes[(count / 6 - 1 + nodes.length) % nodes.length].dispatchEvent(new PointerEvent('pointerout', {bubbles: true}));
        nodes[(count / 6) % nodes.length].dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));
      }""",
}
_UPDATED = "document.querySelector('#fresh').textContent.startsWith('Updated')"


async def main() -> None:
    """Print the tables."""
    chromium = find_chromium()
    if chromium is None:
        sys.exit("there is no chromium on the PATH")
    async with (
        serving(large_mesh()) as server,
        dashboard(server.port or 0) as url,
        run_browser(chromium) as browser,
        browser.tab() as tab,
    ):
        await tab.call("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
        waits = Table("200 workloads, 1 000 edges", ("what", "milliseconds", "of it, tasks over 50 ms"))
        await tab.go(url)
        await tab.until("document.querySelectorAll('.node').length === 200 && " + _UPDATED)
        waits.add("from the address to the graph", round(await tab.run("performance.now()")), await _tasks(tab))
        waits.add(
            "of it, the layout (in a worker)", round(await tab.run("performance.getEntriesByName('layout')[0].duration")), "-"
        )
        waits.add("a refresh", *await _timed(tab, "document.querySelector('#now').click()", _UPDATED))
        waits.add("a letter in the search field", *await _timed(tab, _typed("service-01"), "document.querySelector('.filtered')"))
        waits.add("and no letter", *await _timed(tab, _typed(""), "!document.querySelector('.filtered')"))
        waits.add(
            "sorting the edges",
            *await _timed(tab, "document.querySelector('th.p99 button').click()", "document.querySelector('[aria-sort]')"),
        )
        waits.print()
        frames = Table("Frames while", ("what", "frames per second", "median", "p95", "worst", "tasks over 50 ms"))
        for name, act in _ACTS.items():
            await tab.run("tasks.length = 0")
            times = sorted(json.loads(await tab.run(_FRAMES % act)))
            middle, late = times[len(times) // 2], times[int(len(times) * 0.95)]
            frames.add(
                name,
                round(1000 * len(times) / sum(times)),
                f"{middle:.1f} ms",
                f"{late:.1f} ms",
                f"{times[-1]:.1f} ms",
                await _tasks(tab),
            )
        frames.print()


def _typed(text: str) -> str:
    return f"(() => {{ const f = document.querySelector('.search'); f.value = '{text}'; f.dispatchEvent(new Event('input')); }})()"


async def _timed(tab: Tab, act: str, done: str) -> tuple[Any, str]:
    """Milliseconds from an act until what it leads to is painted, and the tasks that took long."""
    await tab.run("tasks.length = 0")
    script = f"""new Promise((resolve) => {{
      const begin = performance.now();
      {act};
      const look = () => requestAnimationFrame(() => ({done}) ? setTimeout(() => resolve(performance.now() - begin)) : look());
      look();
    }})"""
    return round(await tab.run(script)), await _tasks(tab)


async def _tasks(tab: Tab) -> str:
    await asyncio.sleep(0.3)
    tasks = json.loads(await tab.run("JSON.stringify(tasks)"))
    return ", ".join(f"{task:.0f}" for task in tasks) or "none"


if __name__ == "__main__":
    asyncio.run(main())
