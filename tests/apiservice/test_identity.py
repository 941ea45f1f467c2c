"""Who a client is, proved over real TLS: nobody becomes anybody by writing headers."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from apiservice.identity import DelegatedAuthenticator, Trust, Unauthorized, User
from apiservice.identity.pool import Pool
from apiservice.identity.requestheader import FrontProxy
from tests.apiservice.door import Door, NoTokens, Trusting, open_door
from tests.doubles.authority import SERVER, Authority, Credential, name_of
from tests.doubles.clock import ManualClock

FRONT_PROXY = "front-proxy-client"
ADMIN = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}
UNAUTHENTICATED = ["system:unauthenticated"]


class Tokens:
    """One good token; the rest are nobody's."""

    async def user(self, token: str) -> User:
        if token != "good":
            raise Unauthorized("the bearer token is not valid")
        return User("token-user", "u-1", ("team",), {"scopes": ("a", "b")})


@pytest.fixture(scope="module")
def cluster_ca() -> Authority:
    return Authority("kubernetes")


@pytest.fixture(scope="module")
def proxy_ca() -> Authority:
    return Authority("front-proxy-ca")


@pytest.fixture(scope="module")
def aggregator(proxy_ca: Authority) -> Credential:
    return proxy_ca.issue(FRONT_PROXY)


@pytest.fixture
def trusting(cluster_ca: Authority, proxy_ca: Authority) -> Trusting:
    return Trusting(Trust(Pool.parse(cluster_ca.pem), FrontProxy(Pool.parse(proxy_ca.pem), (FRONT_PROXY,))))


def allow(trusting: Trusting, proxy_ca: Authority, **settings: tuple[str, ...]) -> None:
    """Change what the front proxy may say."""
    trusting.current = Trust(trusting.current.clients, FrontProxy(Pool.parse(proxy_ca.pem), **settings))


@pytest.fixture
async def door(trusting: Trusting, tmp_path: Path) -> AsyncIterator[Door]:
    clock = ManualClock()
    async with open_door(DelegatedAuthenticator(trusting, Tokens(), clock), trusting, clock, tmp_path) as door:
        yield door


async def test_the_front_proxy_speaks_for_its_user(door: Door, aggregator: Credential) -> None:
    headers = [("X-Remote-User", "alice"), ("X-Remote-Group", "dev"), ("X-Remote-Group", "ops"), ("X-Remote-Group", "")]
    asked = await door.ask(aggregator, headers)
    assert asked.user == {"name": "alice", "uid": "", "groups": ["dev", "ops", "system:authenticated"], "extra": {}}


async def test_a_forged_header_is_ignored(door: Door) -> None:
    asked = await door.ask(None, ADMIN)
    assert (asked.name, asked.user["groups"]) == ("system:anonymous", UNAUTHENTICATED)


async def test_a_client_certificate_named_like_the_front_proxy_is_not_the_front_proxy(door: Door, cluster_ca: Authority) -> None:
    asked = await door.ask(cluster_ca.issue(FRONT_PROXY, ["guests"]), ADMIN)
    assert (asked.name, asked.user["groups"]) == (FRONT_PROXY, ["guests", "system:authenticated"])


async def test_a_header_beside_a_client_certificate_is_ignored(door: Door, cluster_ca: Authority) -> None:
    assert (await door.ask(cluster_ca.issue("bob"), ADMIN)).name == "bob"


async def test_a_header_beside_a_token_is_ignored(door: Door) -> None:
    assert (await door.ask(None, ADMIN | {"Authorization": "Bearer good"})).name == "token-user"


async def test_a_front_proxy_name_that_is_not_allowed_is_refused(door: Door, proxy_ca: Authority) -> None:
    assert (await door.ask(proxy_ca.issue("somebody-else"), ADMIN)).status == 401


async def test_an_empty_list_of_names_allows_any(door: Door, proxy_ca: Authority, trusting: Trusting) -> None:
    allow(trusting, proxy_ca, allowed_names=())
    assert (await door.ask(proxy_ca.issue("somebody-else"), ADMIN)).name == "admin"


async def test_the_last_common_name_is_the_one_that_counts(door: Door, proxy_ca: Authority) -> None:
    two_names = x509.Name([*name_of(FRONT_PROXY).rdns, *name_of("somebody-else").rdns])
    assert (await door.ask(proxy_ca.issue(two_names), ADMIN)).status == 401


async def test_a_serving_certificate_of_the_front_proxy_authority_is_refused(door: Door, proxy_ca: Authority) -> None:
    with pytest.raises(aiohttp.ClientError):
        await door.ask(proxy_ca.issue(FRONT_PROXY, usage=(SERVER,)), ADMIN)


async def test_a_certificate_of_a_strange_authority_does_not_get_in(door: Door) -> None:
    with pytest.raises(aiohttp.ClientError):
        await door.ask(Authority("front-proxy-ca").issue(FRONT_PROXY), ADMIN)


async def test_the_front_proxy_without_a_user_is_refused(door: Door, aggregator: Credential) -> None:
    """It names nobody, and its certificate is not one of a cluster user either."""
    assert (await door.ask(aggregator, {"X-Remote-Group": "system:masters"})).status == 401


async def test_a_user_without_groups_is_authenticated(door: Door, aggregator: Credential) -> None:
    asked = await door.ask(aggregator, {"X-Remote-User": "system:aggregator"})
    assert asked.user["groups"] == ["system:authenticated"]


@pytest.mark.parametrize(
    ("user", "groups"),
    [
        pytest.param("system:anonymous", UNAUTHENTICATED, id="anonymous"),
        pytest.param("eve", ["system:authenticated", "dev"], id="already-there"),
    ],
)
async def test_groups_the_front_proxy_has_settled_are_left_alone(
    door: Door, aggregator: Credential, user: str, groups: list[str]
) -> None:
    asked = await door.ask(aggregator, [("X-Remote-User", user), *(("X-Remote-Group", group) for group in groups)])
    assert asked.user["groups"] == groups


async def test_the_uid_header_counts_only_when_the_cluster_lists_it(
    door: Door, aggregator: Credential, proxy_ca: Authority, trusting: Trusting
) -> None:
    headers = {"X-Remote-User": "alice", "X-Remote-Uid": "1234"}
    assert (await door.ask(aggregator, headers)).user["uid"] == ""
    allow(trusting, proxy_ca, uid_headers=("X-Remote-Uid",))
    assert (await door.ask(aggregator, headers)).user["uid"] == "1234"


async def test_the_first_username_header_that_says_something_counts(
    door: Door, aggregator: Credential, proxy_ca: Authority, trusting: Trusting
) -> None:
    allow(trusting, proxy_ca, username_headers=("X-First", "X-Second"), group_headers=("X-Team", "X-Crew"))
    asked = await door.ask(aggregator, {"X-First": "", "X-Second": "alice", "X-Remote-User": "admin", "X-Crew": "b", "X-Team": "a"})
    assert (asked.name, asked.user["groups"]) == ("alice", ["a", "b", "system:authenticated"])


async def test_extra_keys_are_lower_cased_and_then_decoded(door: Door, aggregator: Credential) -> None:
    headers = [
        ("X-Remote-User", "alice"),
        ("X-Remote-Extra-Scopes", "one"),
        ("X-Remote-Extra-Scopes", "two"),
        ("X-Remote-Extra-Example.Com%2FTeam", "dev"),
        ("X-Remote-Extra-%41bc", "upper"),
        ("X-Remote-Extra-50%", "broken"),
    ]
    extra = (await door.ask(aggregator, headers)).user["extra"]
    assert extra == {"scopes": ["one", "two"], "example.com/team": ["dev"], "Abc": ["upper"], "50%": ["broken"]}


async def test_names_beyond_ascii_arrive(door: Door, aggregator: Credential) -> None:
    assert (await door.ask(aggregator, {"X-Remote-User": "zoë"})).name == "zoë"


async def test_thousands_of_groups_fit(door: Door, aggregator: Credential) -> None:
    groups = [f"team-{number}" for number in range(2000)]
    asked = await door.ask(aggregator, [("X-Remote-User", "alice"), *(("X-Remote-Group", group) for group in groups)])
    assert asked.user["groups"] == [*groups, "system:authenticated"]


async def test_a_client_certificate_tells_user_and_groups(door: Door, cluster_ca: Authority) -> None:
    credential = cluster_ca.issue("jane", ["dev", "ops"])
    fingerprint = hashlib.sha256(credential.chain[0]).hexdigest()
    assert (await door.ask(credential)).user == {
        "name": "jane",
        "uid": "",
        "groups": ["dev", "ops", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": [f"X509SHA256={fingerprint}"]},
    }


UID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")


def with_uids(*uids: str) -> x509.Name:
    """A subject as certificate signers write it that know of UIDs."""
    return x509.Name([*name_of("jane"), *(x509.NameAttribute(UID, uid) for uid in uids)])


async def test_a_client_certificate_may_tell_a_uid(door: Door, cluster_ca: Authority) -> None:
    assert (await door.ask(cluster_ca.issue(with_uids("u-1")))).user["uid"] == "u-1"


@pytest.mark.parametrize("uids", [("u-1", "u-2"), ("",)], ids=["several", "empty"])
async def test_a_client_certificate_with_unclear_uids_is_refused(door: Door, cluster_ca: Authority, uids: tuple[str, ...]) -> None:
    assert (await door.ask(cluster_ca.issue(with_uids(*uids)))).status == 401


async def test_an_intermediate_sent_along_is_used(door: Door, cluster_ca: Authority) -> None:
    assert (await door.ask(Authority("intermediate", issuer=cluster_ca).issue("jane"))).name == "jane"


async def test_a_client_certificate_is_not_believed_when_the_cluster_names_no_authority(
    door: Door, cluster_ca: Authority, trusting: Trusting
) -> None:
    """The handshake may still accept it, until the serving context has caught up."""
    trusting.current = Trust(None, trusting.current.front_proxy)
    assert (await door.ask(cluster_ca.issue("jane"))).status == 401


async def test_an_expired_certificate_on_an_old_connection_is_refused(
    trusting: Trusting, cluster_ca: Authority, tmp_path: Path
) -> None:
    clock = ManualClock()
    async with open_door(DelegatedAuthenticator(trusting, NoTokens(), clock), trusting, clock, tmp_path) as door:
        connector = aiohttp.TCPConnector(ssl=door.client_context(cluster_ca.issue("jane")), limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:
            statuses = []
            for elapsed in (0, 48 * 3600):
                clock.advance(elapsed)
                async with session.get(door.url) as answer:
                    statuses.append(answer.status)
    assert statuses == [200, 401]


async def test_a_token_tells_the_user(door: Door) -> None:
    asked = await door.ask(None, {"Authorization": "bearer good"})
    assert asked.user == {
        "name": "token-user",
        "uid": "u-1",
        "groups": ["team", "system:authenticated"],
        "extra": {"scopes": ["a", "b"]},
    }


async def test_a_bad_token_is_refused_and_not_anonymous(door: Door) -> None:
    assert (await door.ask(None, {"Authorization": "Bearer bad"})).status == 401


@pytest.mark.parametrize("credentials", ["Basic Z29vZDpnb29k", "Bearer", "Bearer ", "Bearer  good", "good", ""])
async def test_credentials_of_another_kind_are_none(door: Door, credentials: str) -> None:
    assert (await door.ask(None, {"Authorization": credentials})).name == "system:anonymous"


async def test_a_refused_front_proxy_may_still_be_somebody_by_token(door: Door, proxy_ca: Authority) -> None:
    asked = await door.ask(proxy_ca.issue("somebody-else"), ADMIN | {"Authorization": "Bearer good"})
    assert asked.name == "token-user"


async def test_a_bad_token_does_not_spoil_a_good_certificate(door: Door, cluster_ca: Authority) -> None:
    assert (await door.ask(cluster_ca.issue("jane"), {"Authorization": "Bearer bad"})).name == "jane"


async def test_no_credentials_at_all_are_anonymous(door: Door) -> None:
    assert (await door.ask()).user == {"name": "system:anonymous", "uid": "", "groups": UNAUTHENTICATED, "extra": {}}


async def test_why_nobody_was_found_is_logged_and_not_told(
    door: Door, proxy_ca: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        asked = await door.ask(proxy_ca.issue("somebody-else"), {"Authorization": "Bearer secret-token"})
    assert asked.status == 401
    assert "somebody-else" in caplog.text
    assert "secret-token" not in caplog.text
    assert Unauthorized("a reason").message == "Unauthorized"
