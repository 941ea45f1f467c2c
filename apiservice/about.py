"""What the server says about itself: its version, and the paths it has."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from apiservice.static import Pages, make_form, send

__all__ = ["About", "version_document"]


class About:
    """``/version``, and ``/`` with the paths of all ``pages``."""

    def __init__(self, version: str, pages: Sequence[Pages]) -> None:
        paths = sorted({"/version", *(path for group in pages for path in group.paths)})
        self._forms = {"/version": make_form(version_document(version), pretty=True), "/": make_form({"paths": paths}, pretty=True)}

    @property
    def paths(self) -> Collection[str]:
        """The paths answered."""
        return self._forms.keys()

    def respond(self, path: str, query: Mapping[str, str], headers: MultiMapping[str]) -> web.Response | None:  # noqa: ARG002
        """The document at a path; None when there is none. Like other API servers, this ignores the Accept header."""
        form = self._forms.get(path)
        return None if form is None else send(form, headers)


def version_document(version: str) -> dict[str, Any]:
    """The fields of ``k8s.io/apimachinery/pkg/version.Info``; those about Go tell the Python that runs us."""
    major, minor, *_ = [*re.findall(r"\d+", version), "", ""]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{version}",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{sys.platform}/{platform.machine()}",
    }
