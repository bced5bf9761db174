"""
Every error that Fanout raises on purpose.

    FanoutError
    ├── ConfigError              the YAML or the environment is wrong; says which key
    │   ├── ConfigProblems       .problems: everything that is wrong in a config file
    │   └── MissingKey           a provider's key is not set
    ├── RequestError             the request is wrong; says which field              (400)
    │   ├── Busy                 too much is in flight in the gateway                    (429)
    │   │   ├── KeyInUse         its `Idempotency-Key` is that of a request in flight     (409)
    │   │   ├── BudgetHeld       running requests hold the rest of a key's budget         (429)
    │   │   └── KeyRateLimited   a key's requests or tokens of this minute are used up     (429)
    │   ├── BudgetExceeded       a key's budget is spent                                  (402)
    │   ├── KeyReused            its `Idempotency-Key` is that of another request         (422)
    │   ├── ResponseLost         that of its `Idempotency-Key` could not be stored        (410)
    │   ├── UnknownModel                                                             (404)
    │   ├── NotFound             no such path, file or batch                         (404)
    │   ├── Unauthorized         the key is missing, or not one of the gateway's     (401)
    │   ├── Forbidden            this key may not use this model                     (403)
    │   ├── WrongMethod          .allowed                                            (405)
    │   ├── NoWebSocket          there is only HTTP                                  (426)
    │   ├── TooLarge             the body is over the limit                          (413)
    │   ├── HeadersTooLarge                                                          (431)
    │   ├── MalformedRequest     these bytes are not HTTP                            (400)
    │   ├── UnknownHost          the `Host` is not one that this gateway serves      (421)
    │   ├── CrossSite            a web page that may not use the gateway             (403)
    │   ├── UnsupportedEncoding  the body is packed in an unknown way                (415)
    │   ├── RequestTimeout       the request did not come in time                    (408)
    │   └── Unsupported          this provider does not have this parameter
    ├── ProviderError            one attempt failed: .deployment .status .detail .is_retryable
    │   ├── Unreachable          no connection                                       (502)
    │   ├── TimedOut             no response in time                                 (504)
    │   ├── Refused              401, 403: the provider rejects the API key          (502)
    │   ├── Rejected             400, 403, 413, 422: the provider rejects the request
    │   │   ├── ContentFiltered  the provider refuses the content of the prompt      (400)
    │   │   ├── ContextLengthExceeded  the prompt is too long for the model          (400)
    │   │   ├── ModelNotFound    the provider does not have the model                (404)
    │   │   └── PermissionDenied  the gateway's account may not do this              (403)
    │   │       └── UnsupportedCountry  the provider does not serve this country     (403)
    │   ├── RateLimited          429; .retry_after                                   (429)
    │   │   └── QuotaExceeded    402, 429; waiting does not help                     (429)
    │   ├── Overloaded           500, 502, 503, 529: the provider failed or is overloaded
    │   ├── Malformed            the response is not in the provider's format        (502)
    │   ├── Broken               the stream ended early                              (502)
    │   └── Oversized            the response is too large                           (502)
    ├── SchemaMismatch           no model's response fits the schema                 (502)
    ├── AllFailed                .failures, in call order; their status if equal, else 502
    ├── RequestCancelled         by its client, with another request                 (499)
    │   └── LeaseExpired         the client has not renewed the request's lease      (499)
    ├── ShuttingDown             the gateway stops                                       (503)
    ├── TooManyConnections       more clients than the server has room for           (503)
    ├── StorageError             this machine cannot write or read .path                 (500)
    │   ├── StorageFull          no space is left                                        (507)
    │   └── StorageBusy          another process uses the database                       (503)
    ├── DamagedRecord            of a file or a job                                      (500)
    ├── Internal                 a bug in Fanout, which is already logged            (500)
    └── DeadlineExceeded         the request's time is up                            (504)

The numbers on the right are the HTTP statuses that clients get. `base.py` has the base class,
`config.py`, `gateway.py` and `provider.py` have the others; all are imported from here.
"""

from __future__ import annotations

from .base import (
    INTERNAL,
    DeploymentName,
    ErrorDetail,
    FanoutError,
    Internal,
    detail_of,
    drop_all_tracebacks,
    drop_tracebacks,
    restored,
    status_of,
)
from .config import (
    ConfigError,
    ConfigProblems,
    KeyPath,
    MissingKey,
    Move,
    Problem,
)
from .gateway import (
    BudgetExceeded,
    BudgetHeld,
    Busy,
    CrossSite,
    DamagedRecord,
    DeadlineExceeded,
    Forbidden,
    HeadersTooLarge,
    KeyInUse,
    KeyRateLimited,
    KeyReused,
    LeaseExpired,
    MalformedRequest,
    NotFound,
    NoWebSocket,
    RequestCancelled,
    RequestError,
    RequestTimeout,
    ResponseLost,
    ShuttingDown,
    StorageBusy,
    StorageError,
    StorageFull,
    TooLarge,
    TooManyConnections,
    Unauthorized,
    UnknownHost,
    UnknownModel,
    Unsupported,
    UnsupportedEncoding,
    WrongMethod,
)
from .provider import (
    AllFailed,
    Broken,
    Cause,
    ContentFiltered,
    ContextLengthExceeded,
    HasName,
    Malformed,
    ModelNotFound,
    Overloaded,
    Oversized,
    PermissionDenied,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
    Rejected,
    SchemaMismatch,
    TimedOut,
    Unreachable,
    UnsupportedCountry,
    may_be_billed,
    public_message,
    withdrawal_of,
)

__all__ = [
    "INTERNAL",
    "AllFailed",
    "Broken",
    "BudgetExceeded",
    "BudgetHeld",
    "Busy",
    "Cause",
    "ConfigError",
    "ConfigProblems",
    "ContentFiltered",
    "ContextLengthExceeded",
    "CrossSite",
    "DamagedRecord",
    "DeadlineExceeded",
    "DeploymentName",
    "ErrorDetail",
    "FanoutError",
    "Forbidden",
    "HasName",
    "HeadersTooLarge",
    "Internal",
    "KeyInUse",
    "KeyPath",
    "KeyRateLimited",
    "KeyReused",
    "LeaseExpired",
    "Malformed",
    "MalformedRequest",
    "MissingKey",
    "ModelNotFound",
    "Move",
    "NoWebSocket",
    "NotFound",
    "Overloaded",
    "Oversized",
    "PermissionDenied",
    "Problem",
    "ProviderError",
    "QuotaExceeded",
    "RateLimited",
    "Refused",
    "Rejected",
    "RequestCancelled",
    "RequestError",
    "RequestTimeout",
    "ResponseLost",
    "SchemaMismatch",
    "ShuttingDown",
    "StorageBusy",
    "StorageError",
    "StorageFull",
    "TimedOut",
    "TooLarge",
    "TooManyConnections",
    "Unauthorized",
    "UnknownHost",
    "UnknownModel",
    "Unreachable",
    "Unsupported",
    "UnsupportedCountry",
    "UnsupportedEncoding",
    "WrongMethod",
    "detail_of",
    "drop_all_tracebacks",
    "drop_tracebacks",
    "may_be_billed",
    "public_message",
    "restored",
    "status_of",
    "withdrawal_of",
]
