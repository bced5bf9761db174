"""What the app has from its start to its end: the gateway, the keys, and the limits of requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from ..config.catalog import Catalog, ClientKey
from ..config.model import GeneralSettings
from ..gateway.gateway import Gateway
from ..transport.credentials import SecretSource
from .admission import Admission, AdmittedRequest
from .auth import Authenticator
from .exchange import MEGABYTE, LazyBatchService
from .open_requests import OpenRequests, OtherProcesses

if TYPE_CHECKING:
    from ..keys.ledger import KeyLedger
    from .web_origins import WebOrigins

OpenKeys: TypeAlias = "Callable[[Catalog], KeyLedger]"
"""Opens the ledger of virtual keys."""


class RunningApp(Struct, frozen=True):
    """What the app has from start-up to shutdown."""

    gateway: Gateway
    authenticator: Authenticator
    admission: Admission
    batch_service: LazyBatchService | None
    web_origins: WebOrigins | None
    open_requests: OpenRequests

    def admit(self, client: ClientKey) -> AdmittedRequest:
        """Admit a client's request; from its first virtual key on, the gateway has several."""
        if client.account is not None and not self.admission.divided:
            self.admission.divided = True
            self.gateway.divide()
        return self.admission.admit(client.name)


def running_app(
    gateway: Gateway,
    keys: SecretSource,
    batch_service: LazyBatchService | None,
    capacity: int | None,
    others: OtherProcesses | None,
    open_keys: OpenKeys | None,
) -> RunningApp:
    """The app over an open gateway, with the parts that the host gives it."""
    general = gateway.catalog.general
    requests = min(general.max_requests, capacity or general.max_requests)
    bodies = max(general.max_body_memory_mb, general.max_request_size_mb)  # one always fits
    clients = gateway.catalog.client_keys
    has_virtual = gateway.catalog.has_virtual_keys
    opened = partial(open_keys, gateway.catalog) if open_keys and has_virtual else None
    admission = Admission(
        requests,
        int(bodies * MEGABYTE),
        divided=len(clients) > 1,
        may_divide=opened is not None,
    )
    return RunningApp(
        gateway,
        Authenticator(clients, keys, opened),
        admission,
        batch_service,
        _web_origins(general, clients),
        OpenRequests(others),
    )


def _web_origins(general: GeneralSettings, clients: Sequence[ClientKey]) -> WebOrigins | None:
    """The rules for web pages; none if there is a key and no setting of such rules."""
    if clients and not general.cors_origins and general.allowed_hosts is None:
        return None
    from .web_origins import WebOrigins

    return WebOrigins(general.cors_origins, general.allowed_hosts, is_open=not clients)
