"""The examination of the cluster: is the server registered, reached, trusted and let to do what it needs, hop by hop."""

from apiservice.checkup.doors import parse_address
from apiservice.checkup.examination import examine_cluster
from apiservice.checkup.lifetimes import with_lifetimes
from apiservice.checkup.subject import UNSEEN, Subject, reachable, subject_of

__all__ = ["UNSEEN", "Subject", "examine_cluster", "parse_address", "reachable", "subject_of", "with_lifetimes"]
