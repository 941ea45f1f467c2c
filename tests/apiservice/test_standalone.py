"""The insecure port is for whoever is on the machine, not for whatever runs in their browser."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from apiservice.identity.user import Unauthorized
from apiservice.standalone import Everyone


def request_to(host: str) -> web.Request:
    return make_mocked_request("GET", "/apis", headers={"Host": host})


@pytest.mark.parametrize("host", ["127.0.0.1:8001", "localhost:8001", "localhost", "[::1]:8001"])
async def test_loopback_is_served_by_its_names(host: str):
    assert (await Everyone().authenticate(request_to(host))).name == "system:unsecured"


@pytest.mark.parametrize("host", ["rebound.example.com:8001", "rebound.example.com", "127.0.0.1.example.com", ""])
async def test_a_name_that_was_made_to_point_here_is_refused(host: str):
    with pytest.raises(Unauthorized):
        await Everyone().authenticate(request_to(host))
