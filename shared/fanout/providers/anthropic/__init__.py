"""Anthropic's Messages API, and any server that implements it (llama.cpp, a proxy)."""
