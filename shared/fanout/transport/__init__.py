"""Calls to providers over HTTP: keys and signing, streaming, connections, errors."""
