"""How AWS says no: one exception that every protocol writes in its own way."""

from __future__ import annotations

__all__ = ["Refusal", "invalid_parameter", "validation"]


class Refusal(Exception):
    """An error with the code and the message that AWS gives; ``status`` is HTTP's.

    ``query_code`` is what the code was in the query protocol, where that differs.
    """

    def __init__(self, code: str, message: str, status: int = 400, query_code: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.query_code = query_code or code


def validation(message: str) -> Refusal:
    """What CloudWatch says of a request of GetMetricData that breaks a rule."""
    return Refusal("ValidationException", message, query_code="ValidationError")


def invalid_parameter(message: str) -> Refusal:
    """What CloudWatch's other operations say of a parameter."""
    return Refusal("InvalidParameterValueException", message, query_code="InvalidParameterValue")
