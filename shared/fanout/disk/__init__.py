"""Writes to files on this machine: each is complete, or an error that names the path."""
