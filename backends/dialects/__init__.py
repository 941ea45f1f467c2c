"""Dialects: what each mesh calls things, as data, and the way from a question to reads and back to samples."""

from backends.dialects.dialect import Correction, Dialect, Observer, Outcome, OutcomeRule, View
from backends.dialects.identity import HOST, Identity
from backends.dialects.interpret import Rows, interpret
from backends.dialects.load import builtin_dialects, load_dialect, parse_dialect, read_dialect
from backends.dialects.matcher import Comparison, Matcher, equal, one_of, parse_matchers
from backends.dialects.plan import Part, Read, Reading, omissions, plan, refusal

__all__ = [
    "HOST",
    "Comparison",
    "Correction",
    "Dialect",
    "Identity",
    "Matcher",
    "Observer",
    "Outcome",
    "OutcomeRule",
    "Part",
    "Read",
    "Reading",
    "Rows",
    "View",
    "builtin_dialects",
    "equal",
    "interpret",
    "load_dialect",
    "omissions",
    "one_of",
    "parse_dialect",
    "parse_matchers",
    "plan",
    "read_dialect",
    "refusal",
]
