"""The error tree: what a reader is told, and what can be caught together."""

import inspect

import pytest

from metrics_api import errors
from metrics_api.errors import (
    BackendError,
    BackendForgot,
    BackendProtocolError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    BadConfiguration,
    Invalid,
    NotFound,
    TrafficError,
)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_a_traffic_error_drawn_in_the_tree(name: str):
    assert issubclass(getattr(errors, name), TrafficError)
    assert name in inspect.getdoc(errors)


@pytest.mark.parametrize("kind", [BackendUnavailable, BackendTimeout, BackendForgot, BackendRefused, BackendProtocolError])
def test_an_error_of_a_source_names_it_and_says_when_to_come_back(kind: type[BackendError]):
    error = kind("mesh", "it did not answer", retry_after=7)
    assert error.message == 'source "mesh": it did not answer'
    assert (error.backend, error.retry_after) == ("mesh", 7)
    assert isinstance(error, BackendError)


def test_not_found_reads_as_kubernetes_writes_it():
    error = NotFound("deployments.metrics.smi-spec.io", "web")
    assert error.message == 'deployments.metrics.smi-spec.io "web" not found'
    assert (error.resource, error.name) == ("deployments.metrics.smi-spec.io", "web")
    assert NotFound("deployments", "web", "gone").message == "gone"


def test_a_contradiction_carries_its_causes():
    cause = ("FieldValueForbidden", "forbidden", "resourceVersionMatch")
    assert Invalid("invalid list options", [cause]).causes == (cause,)
    assert Invalid("invalid list options").causes == ()


def test_an_error_without_words_still_has_a_message():
    assert TrafficError().message == "TrafficError"
    assert BadConfiguration([]).message == ""
    assert BadConfiguration(["a", "b"]).message == "a\nb"
