"""Who sends a request, decided as Kubernetes decides it; what nobody has proved is not believed."""

from apiservice.identity.chain import DelegatedAuthenticator
from apiservice.identity.peer import peer_chain
from apiservice.identity.rotation import TrustSource, TrustUnreadable
from apiservice.identity.token import TokenReviews
from apiservice.identity.trust import Trust, TrustOverrides
from apiservice.identity.user import ANONYMOUS, Authenticator, Unauthorized, User

__all__ = [
    "ANONYMOUS",
    "Authenticator",
    "DelegatedAuthenticator",
    "TokenReviews",
    "Trust",
    "TrustOverrides",
    "TrustSource",
    "TrustUnreadable",
    "Unauthorized",
    "User",
    "peer_chain",
]
