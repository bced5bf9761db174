"""A provider that requires a client certificate, and the files that a client needs to reach it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme

from .forward_proxy import HOST
from .scripted_provider import Upstream, open_upstream


class MutualTLS:
    """`bundle` has the authority's certificate, `certificate` a client's with its key (PEM)."""

    def __init__(self, upstream: Upstream, ca: trustme.CA, folder: Path) -> None:
        self.upstream = upstream
        self.bundle = folder / "bundle.pem"
        self.certificate = folder / "client.pem"
        ca.cert_pem.write_to_path(str(self.bundle))
        ca.issue_cert("team@example.org").private_key_and_cert_chain_pem.write_to_path(
            str(self.certificate)
        )

    def context(self, *, certificate: bool = True) -> ssl.SSLContext:
        """A client's context that trusts the provider."""
        made = ssl.create_default_context(cafile=self.bundle)
        if certificate:
            made.load_cert_chain(self.certificate)
        return made


@contextmanager
def open_mutual_tls(folder: Path) -> Iterator[MutualTLS]:
    """A provider for the block that talks to clients with a certificate only."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", HOST).configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with open_upstream(context) as upstream:
        yield MutualTLS(upstream, ca, folder)


@contextmanager
def open_refusing_tls(folder: Path) -> Iterator[tuple[str, Path]]:
    """
    A provider's address that answers each handshake with the alert `certificate_required`.

    Asyncio's servers close the connection without the alert; this one sends it and reads on, as
    servers do whose alert arrives. The path is that of the authority's certificate (PEM).
    """
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    bundle = folder / "authority.pem"
    ca.cert_pem.write_to_path(str(bundle))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=_refuse, args=(listener, context))
        thread.start()
        yield f"https://127.0.0.1:{port}", bundle
        listener.shutdown(socket.SHUT_RDWR)  # ends `accept`
        thread.join()


def _refuse(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        with plain, suppress(OSError):
            with context.wrap_socket(
                plain.dup(), server_side=True, do_handshake_on_connect=False
            ) as secure:
                with suppress(ssl.SSLError):
                    secure.do_handshake()
                plain.shutdown(socket.SHUT_WR)
            while plain.recv(65536):
                pass
