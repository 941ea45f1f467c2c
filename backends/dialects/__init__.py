"""Dialects: what each mesh calls things, as data, and the way from a question to reads and back to samples."""

from backends.dialects.combination import combined
from backends.dialects.consultation import Consultation
from backends.dialects.dialect import (
    CodeForm,
    CodeLabel,
    Codes,
    Correction,
    Dialect,
    GrpcCounters,
    Latency,
    Observer,
    Outcome,
    OutcomeRule,
    Sign,
    Temporality,
    Trap,
    VersionSeries,
    View,
)
from backends.dialects.identity import HOST, Identity
from backends.dialects.interpret import Rows, interpret, passed_by
from backends.dialects.levels import omissions, questions, refusal
from backends.dialects.load import (
    AUTO,
    builtin_dialects,
    candidates,
    dialect_file,
    hosted_dialects,
    load_dialect,
    parse_dialect,
    read_dialect,
)
from backends.dialects.matcher import Comparison, Matcher, equal, one_of, parse_matchers
from backends.dialects.part import Part, Read, Reading
from backends.dialects.plan import by_caller, plan, seen_by_callers

__all__ = [
    "AUTO",
    "HOST",
    "CodeForm",
    "CodeLabel",
    "Codes",
    "Comparison",
    "Consultation",
    "Correction",
    "Dialect",
    "GrpcCounters",
    "Identity",
    "Latency",
    "Matcher",
    "Observer",
    "Outcome",
    "OutcomeRule",
    "Part",
    "Read",
    "Reading",
    "Rows",
    "Sign",
    "Temporality",
    "Trap",
    "VersionSeries",
    "View",
    "builtin_dialects",
    "by_caller",
    "candidates",
    "combined",
    "dialect_file",
    "equal",
    "hosted_dialects",
    "interpret",
    "load_dialect",
    "omissions",
    "one_of",
    "parse_dialect",
    "parse_matchers",
    "passed_by",
    "plan",
    "questions",
    "read_dialect",
    "refusal",
    "seen_by_callers",
]
