"""``Warning: 299`` headers: what the reader of an answer should know, which kubectl prints.

Escaping, and the bounds on what a response may carry: ``k8s.io/apiserver/pkg/endpoints/filters/warning.go``.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["warning_headers"]

_TOTAL = 4096
_EACH = 256


def warning_headers(warnings: Iterable[str]) -> list[str]:
    """The values of the Warning headers for these sentences, each once.

    All of them together are at most 4096 characters: when they would be more, each is cut at 256 and what still does not fit is
    left out.
    """
    texts = list(dict.fromkeys(filter(None, map(_printable, warnings))))
    if sum(map(len, texts)) > _TOTAL:
        texts = list(dict.fromkeys(text[:_EACH] for text in texts))[: _TOTAL // _EACH]
    return [f'299 - "{_escaped(text)}"' for text in texts]


def _printable(text: str) -> str:
    """The sentence on one line, without control characters or anything UTF-8 cannot carry."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(line.split())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
