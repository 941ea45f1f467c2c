"""Kustomizations as ``kubectl apply -k`` sees them: those of the repository, and components put together as its users do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.plane import DEPLOY

__all__ = ["COMPONENTS", "OVERLAYS", "combine", "find", "render"]

OVERLAYS = (
    "base",
    "autoscaling",
    "cert-manager",
    "cloudwatch",
    "high-availability",
    "istio",
    "linkerd",
    "prometheus-operator",
)
COMPONENTS = tuple(sorted(path.name for path in (DEPLOY / "components").iterdir()))


def combine(folder: Path, resource: str, components: Sequence[str] = ()) -> Path:
    """A kustomization in ``folder``: a folder of ``deploy/`` and components, which may be none."""
    content = {
        "resources": [os.path.relpath(DEPLOY / resource, folder)],
        "components": [os.path.relpath(DEPLOY / "components" / name, folder) for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return folder


def render(folder: Path | str) -> list[dict[str, Any]]:
    """The objects of a kustomization: a folder, or the name of one of ``deploy/``. What is in a folder is read once."""
    return list(yaml.load_all(_rendered(str(DEPLOY / folder)), Loader=yaml.CSafeLoader))


@cache
def _rendered(folder: str) -> str:
    run = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def find(objects: Iterable[dict[str, Any]], kind: str, name: str = "trafficmetrics") -> dict[str, Any]:
    """The one of that kind and name."""
    (found,) = (each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found
