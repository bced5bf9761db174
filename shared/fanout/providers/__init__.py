"""Providers and their codecs. Pure translation: no I/O, no clock, no keys."""
