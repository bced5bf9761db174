"""Providers: who can be asked, and in which words. Pure translation; no I/O, clock or secret."""
