"""An HTTP/1.1 server for an ASGI app: bounded connections, and an orderly shutdown."""
