"""Blocks of commands that pages show for a cluster like the one at hand."""

from __future__ import annotations

import asyncio
import re

from tests.controlplane.plane import DEPLOY, ControlPlane

__all__ = ["run_shown"]


async def run_shown(plane: ControlPlane, page: str, test: str) -> int | None:
    """Runs the one block of a page of ``docs/`` that names this test, in that cluster; the exit code of the first that fails, or 0."""
    text = (DEPLOY.parent / "docs" / page).read_text(encoding="utf-8")
    (block,) = re.findall(rf"<!-- tested: \S+::{test} -->\n```sh\n(.*?)```", text, re.DOTALL)
    process = await asyncio.create_subprocess_exec("bash", "-euo", "pipefail", "-c", block, env=plane.environment())
    return await process.wait()
