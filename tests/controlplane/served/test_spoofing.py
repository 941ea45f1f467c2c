"""Spoofing: nobody becomes anybody by what they claim, whichever certificate they show and however they write it down.

kube-apiserver's audit log is the witness. It records what the server asks it to allow and for whom, so a claim that was believed shows
there, even when the answer to it went astray.
"""

from __future__ import annotations

import datetime as dt
import itertools
import ssl
from collections.abc import Callable

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.controlplane.pki import Authority, Pair
from tests.controlplane.plane import ControlPlane
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import STRANGER
from tests.controlplane.served.raw import Answers, exchange, request
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

SECRET = f"{GV}/namespaces/data/deployments"
"""What only the group "sre" and administrators may read."""

FRONT_PROXY = "front-proxy-client"
DAY = dt.timedelta(days=1)
PAST, FUTURE = (-2 * DAY, -DAY), (DAY, 2 * DAY)

_NUMBERS = itertools.count(1)


class Claim:
    """Somebody who does not exist, and would be let in as a member of "sre"; each is tried once, so that the audit log can tell."""

    def __init__(self) -> None:
        self.name = f"mallory-{next(_NUMBERS)}"
        self.user = b"X-Remote-User: " + self.name.encode()
        self.group = b"X-Remote-Group: sre"


# Who connects


REFUSED = "refused in the handshake"
UNAUTHORIZED = "unauthorized"

Credentials = Callable[[ControlPlane], Pair | None]

CREDENTIALS: dict[str, tuple[Credentials, str]] = {
    "none": (lambda _: None, "system:anonymous"),
    "unknown-authority": (lambda _: Authority("front-proxy-ca").client(FRONT_PROXY), REFUSED),
    "signed-by-itself": (lambda _: Authority("front-proxy-ca").itself, REFUSED),
    "signed-by-itself-named-as-the-proxy": (lambda _: Authority(FRONT_PROXY).itself, REFUSED),
    "of-the-cluster": (lambda plane: plane.cluster_ca.client("bob"), "bob"),
    "of-the-cluster-named-as-the-proxy": (lambda plane: plane.cluster_ca.client(FRONT_PROXY), FRONT_PROXY),
    "of-the-cluster-without-a-name": (lambda plane: plane.cluster_ca.client("", ["sre"]), UNAUTHORIZED),
    "of-the-proxys-with-another-name": (lambda plane: plane.front_proxy_ca.client("somebody"), UNAUTHORIZED),
    "of-the-proxys-with-a-longer-name": (lambda plane: plane.front_proxy_ca.client(f"{FRONT_PROXY}2"), UNAUTHORIZED),
    "of-the-proxys-in-capitals": (lambda plane: plane.front_proxy_ca.client(FRONT_PROXY.upper()), UNAUTHORIZED),
    "of-the-proxys-with-the-name-as-a-group": (lambda plane: plane.front_proxy_ca.client("x", [FRONT_PROXY]), UNAUTHORIZED),
    "of-the-proxys-without-a-name": (lambda plane: plane.front_proxy_ca.client(""), UNAUTHORIZED),
    "of-the-proxys-expired": (lambda plane: plane.front_proxy_ca.client(FRONT_PROXY, valid=PAST), REFUSED),
    "of-the-proxys-not-yet-valid": (lambda plane: plane.front_proxy_ca.client(FRONT_PROXY, valid=FUTURE), REFUSED),
    "of-the-proxys-for-servers": (
        lambda plane: plane.front_proxy_ca.client(FRONT_PROXY, usage=ExtendedKeyUsageOID.SERVER_AUTH),
        REFUSED,
    ),
    "of-the-proxys-for-mail": (
        lambda plane: plane.front_proxy_ca.client(FRONT_PROXY, usage=ExtendedKeyUsageOID.EMAIL_PROTECTION),
        REFUSED,
    ),
    "of-an-authority-below-the-proxys": (lambda plane: Authority("below", plane.front_proxy_ca).client(FRONT_PROXY), REFUSED),
    "made-by-a-client": (lambda plane: Authority.of(plane.cluster_ca.client("bob")).client("sue", ["sre"]), REFUSED),
    "made-by-the-proxy-itself": (
        lambda plane: Authority.of(plane.front_proxy_ca.client("somebody")).client(FRONT_PROXY),
        REFUSED,
    ),
}

# What they claim. Of most, a lenient reader would understand what a strict one does not.

Writing = Callable[[Claim], list[bytes]]

CLAIMS: dict[str, Writing] = {
    "nothing": lambda _: [],
    "user-and-group": lambda claim: [claim.user, claim.group],
    "administrators": lambda claim: [claim.user, b"X-Remote-Group: system:masters"],
    "uid-and-extra": lambda claim: [claim.user, claim.group, b"X-Remote-Uid: 0", b"X-Remote-Extra-Scopes: all"],
    "lower-case": lambda claim: [claim.user.lower(), claim.group.lower()],
    "upper-case": lambda claim: [b"X-REMOTE-USER: " + claim.name.encode(), b"X-REMOTE-GROUP: sre"],
    "underscores": lambda claim: [b"X_Remote_User: " + claim.name.encode(), b"X_Remote_Group: sre", b"x-remote_group: sre"],
    "twice": lambda claim: [claim.user, claim.group, claim.user, claim.group],
    "a-list": lambda claim: [b"X-Remote-User: bob, " + claim.name.encode(), b"X-Remote-Group: dev, sre"],
    "folded": lambda claim: [b"X-Other: a", b" " + claim.user, b"\t" + claim.group],
    "folded-value": lambda claim: [b"X-Remote-User:", b" " + claim.name.encode(), b"X-Remote-Group:", b"\tsre"],
    "a-space-before-the-colon": lambda claim: [b"X-Remote-User : " + claim.name.encode(), b"X-Remote-Group : sre"],
    "a-tab-before-the-colon": lambda claim: [b"X-Remote-User\t: " + claim.name.encode(), b"X-Remote-Group\t: sre"],
    "a-space-before-the-name": lambda claim: [b" " + claim.user, b" " + claim.group],
    "no-break-space": lambda claim: [b"X-Remote-User\xc2\xa0: " + claim.name.encode(), claim.group],
    "nul-in-the-name": lambda claim: [b"X-Remote-User\0: " + claim.name.encode(), b"X-Remote-Group\0: sre"],
    "nul-in-the-value": lambda claim: [claim.user + b"\0", claim.group + b"\0"],
    "a-bare-return": lambda claim: [b"X-Other: a\r" + claim.user + b"\r" + claim.group],
    "a-bare-line-feed": lambda claim: [b"X-Other: a\n" + claim.user + b"\n" + claim.group],
    "a-vertical-tab": lambda claim: [b"X-Other: a\x0b" + claim.user, b"X-Other: a\x0c" + claim.group],
    "beyond-ascii": lambda claim: ["X-Remote-Usér: ".encode() + claim.name.encode(), "X-Remotе-User: ".encode() + b"sue"],
    "names-beyond-ascii": lambda claim: [claim.user + b"\xff\xfe", claim.group + "ё".encode()],
    "an-empty-name": lambda _: [b"X-Remote-User:", b"X-Remote-Group: sre"],
    "of-other-proxies": lambda claim: [
        b"X-Forwarded-User: " + claim.name.encode(),
        b"Remote-User: " + claim.name.encode(),
        b"X-Forwarded-Client-Cert: Subject=CN=front-proxy-client",
        b"Ssl-Client-Verify: SUCCESS",
        b"Ssl-Client-Subject-Dn: CN=front-proxy-client",
    ],
    "impersonation": lambda claim: [b"Impersonate-User: " + claim.name.encode(), b"Impersonate-Group: sre"],
    "a-connection-header": lambda claim: [claim.user, claim.group, b"Connection: X-Remote-User, X-Remote-Group"],
}


def claimed(claim: Claim, writing: str) -> bytes:
    return request(SECRET, *CLAIMS[writing](claim))


async def nobody_was_let_in(api: Api, since: int, answers: Answers, *claims: Claim) -> None:
    """No response tells the secret, and nobody was asked about who does not exist."""
    assert 200 not in answers.statuses
    assert b'"items"' not in answers.data
    names = {claim.name for claim in claims}
    # Asked and answered before this server answers, so nothing has to be waited for.
    asked = await api.plane.audited(since, resource="subjectaccessreviews", patience=0)
    assert not [event for event in asked if any(name in event["requestObject"]["spec"]["user"] for name in names)]


@pytest.fixture(scope="module")
def doors(api: Api) -> dict[str, ssl.SSLContext]:
    """A client's TLS for each of the credentials."""
    made: dict[str, ssl.SSLContext] = {}
    for name, (make, _) in CREDENTIALS.items():
        pair = make(api.plane)
        made[name] = api.server.tls() if pair is None else api.server.tls_with(pair)
    return made


@pytest.mark.parametrize("writing", CLAIMS)
@pytest.mark.parametrize("credentials", CREDENTIALS)
async def test_who_connects_is_whom_the_certificate_proves(
    api: Api, doors: dict[str, ssl.SSLContext], credentials: str, writing: str
):
    mark, claim = api.plane.audit.mark(), Claim()
    answers = await exchange(api.server.port, doors[credentials], claimed(claim, writing))
    await nobody_was_let_in(api, mark, answers, claim)
    proved = CREDENTIALS[credentials][1]
    assert answers.refused is (proved == REFUSED)
    if answers.statuses == [400]:
        assert b"the request is not valid HTTP/1.1" in answers.data
    elif proved == UNAUTHORIZED:
        assert answers.statuses == [401]
    elif proved != REFUSED:
        assert answers.statuses == [403]
        assert f'User \\"{proved}\\" cannot list resource \\"deployments\\"'.encode() in answers.data


async def test_the_front_proxy_itself_is_believed(api: Api):
    """Or nothing in here could fail."""
    mark, claim = api.plane.audit.mark(), Claim()
    tls = api.server.tls_with(api.plane.front_proxy_ca.client(FRONT_PROXY))
    answers = await exchange(api.server.port, tls, claimed(claim, "user-and-group"))
    assert answers.statuses == [200]
    assert b'"items"' in answers.data
    (event,) = await api.plane.audited(mark, resource="subjectaccessreviews")
    assert event["requestObject"]["spec"]["user"] == claim.name


# A client's own headers reach this server through kube-apiserver, beside those it writes itself.


@pytest.mark.parametrize("writing", [writing for writing in CLAIMS if writing != "impersonation"])
async def test_through_kube_apiserver_everybody_stays_who_they_are(api: Api, writing: str):
    mark, claim = api.plane.audit.mark(), Claim()
    port = int(api.plane.url.rpartition(":")[2])
    answers = await exchange(port, api.plane.tls(STRANGER), claimed(claim, writing))
    await nobody_was_let_in(api, mark, answers, claim)
    assert answers.statuses in ([400], [403])


PROXIED_AS_BOB = [b"X-Remote-User: bob", b"X-Remote-Group: dev"]


@pytest.mark.parametrize(
    "writing",
    [
        writing
        for writing in CLAIMS
        # These are the very headers the front proxy speaks with; kube-apiserver takes them from its clients.
        if writing
        not in ("user-and-group", "administrators", "uid-and-extra", "lower-case", "upper-case", "twice", "an-empty-name")
        if writing not in ("a-list", "a-bare-line-feed", "a-connection-header", "folded-value", "names-beyond-ascii")
    ],
)
async def test_what_a_client_smuggles_past_the_front_proxy_is_not_what_it_says(api: Api, writing: str):
    """The headers kube-apiserver does not take away come first, then its own; only these count."""
    mark, claim = api.plane.audit.mark(), Claim()
    tls = api.server.tls_with(api.plane.front_proxy_ca.client(FRONT_PROXY))
    for lines in ([*CLAIMS[writing](claim), *PROXIED_AS_BOB], [*PROXIED_AS_BOB, *CLAIMS[writing](claim)]):
        answers = await exchange(api.server.port, tls, request(SECRET, *lines))
        await nobody_was_let_in(api, mark, answers, claim)
        assert answers.statuses in ([400], [403])
        if answers.statuses == [403]:
            assert b'User \\"bob\\" cannot list' in answers.data


# A second request in the body of the first: whoever disagrees about where a request ends reads it as one of its own.


def smuggled(claim: Claim) -> bytes:
    return request(SECRET, claim.user, claim.group)


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)


FRAMES: dict[str, Callable[[Claim], tuple[list[bytes], bytes]]] = {
    "length-and-chunks": lambda claim: (
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        b"0\r\n\r\n" + smuggled(claim),
    ),
    "chunks-and-length": lambda claim: (
        [b"Transfer-Encoding: chunked", b"Content-Length: %d" % (len(smuggled(claim)) + 5)],
        b"0\r\n\r\n" + smuggled(claim),
    ),
    "two-lengths": lambda claim: ([b"Content-Length: 0", b"Content-Length: %d" % len(smuggled(claim))], smuggled(claim)),
    "a-list-of-lengths": lambda claim: ([b"Content-Length: 0, %d" % len(smuggled(claim))], smuggled(claim)),
    "a-signed-length": lambda claim: ([b"Content-Length: +%d" % len(smuggled(claim))], smuggled(claim)),
    "a-length-with-a-space": lambda claim: ([b"Content-Length : %d" % len(smuggled(claim))], smuggled(claim)),
    "a-length-in-hex": lambda claim: ([b"Content-Length: 0x%x" % len(smuggled(claim))], smuggled(claim)),
    "chunks-spelt-otherwise": lambda claim: ([b"Transfer-Encoding: xchunked"], b"0\r\n\r\n" + smuggled(claim)),
    "chunks-twice": lambda claim: ([b"Transfer-Encoding: chunked, chunked"], b"0\r\n\r\n" + smuggled(claim)),
    "chunks-and-identity": lambda claim: (
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        b"0\r\n\r\n" + smuggled(claim),
    ),
    "chunks-with-a-space": lambda claim: ([b"Transfer-Encoding : chunked"], b"0\r\n\r\n" + smuggled(claim)),
    "chunks-folded": lambda claim: ([b"Transfer-Encoding:", b" chunked"], b"0\r\n\r\n" + smuggled(claim)),
    "a-chunk-of-a-negative-size": lambda claim: ([b"Transfer-Encoding: chunked"], b"-1\r\n" + smuggled(claim)),
    "a-chunk-with-an-extension": lambda claim: (
        [b"Transfer-Encoding: chunked"],
        b"0;a\n\r\n" + smuggled(claim) + chunked(b""),
    ),
    "bare-line-feeds": lambda claim: ([b"Transfer-Encoding: chunked"], b"0\n\n" + smuggled(claim)),
    "trailers": lambda claim: (
        [b"Transfer-Encoding: chunked", b"Trailer: X-Remote-User, X-Remote-Group"],
        b"0\r\n" + claim.user + b"\r\n" + claim.group + b"\r\n\r\n",
    ),
    "inside-a-body": lambda claim: ([b"Content-Length: %d" % len(smuggled(claim))], smuggled(claim)),
    "inside-a-chunk": lambda claim: ([b"Transfer-Encoding: chunked"], chunked(smuggled(claim))),
    "an-upgrade": lambda claim: ([b"Connection: Upgrade", b"Upgrade: h2c"], smuggled(claim)),
    "expectation": lambda claim: (
        [b"Expect: 100-continue", b"Content-Length: %d" % len(smuggled(claim))],
        smuggled(claim),
    ),
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_inside_another_is_nobodys(api: Api, frame: str, method: str):
    """Also not on the connections kube-apiserver keeps to this server, where every request has its word."""
    mark, claim = api.plane.audit.mark(), Claim()
    lines, body = FRAMES[frame](claim)
    data = request(SECRET, *lines, method=method, body=body).replace(b"Connection: close\r\n", b"", 1)
    for port, tls in (
        (api.server.port, api.server.tls()),
        (int(api.plane.url.rpartition(":")[2]), api.plane.tls(STRANGER)),
    ):
        answers = await exchange(port, tls, data, patience=0.5)
        await nobody_was_let_in(api, mark, answers, claim)
        assert set(answers.statuses) <= {100, 400, 401, 403, 411, 417, 501}
    # Whoever comes next over the same connections gets an answer of their own.
    assert (await api.proxied(GV, user=STRANGER)).document["kind"] == "APIResourceList"
