"""A serving certificate that the server makes itself: authority and leaf in a Secret all replicas share, and ``caBundle`` kept at them."""

from apiservice.issuance.issuer import Issuer, issuing

__all__ = ["Issuer", "issuing"]
