"""What the cluster publishes of whom it trusts: one authority for clients, one for front proxies, and the headers these use."""

from __future__ import annotations

from tests.doubles.authority import Authority

__all__ = ["CLIENTS", "HEADERS", "PROXIES", "PUBLISHED"]

CLIENTS = Authority("kubernetes")
PROXIES = Authority("front-proxy-ca")
HEADERS = {
    "requestheader_username_headers": '["X-Remote-User"]',
    "requestheader_group_headers": '["X-Remote-Group"]',
    "requestheader_extra_headers_prefix": '["X-Remote-Extra-"]',
    "requestheader_allowed_names": '["front-proxy-client"]',
}
PUBLISHED = HEADERS | {"client_ca_file": CLIENTS.pem, "requestheader_client_ca_file": PROXIES.pem}
