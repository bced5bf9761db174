"""Anthropic's Messages API, and any server that speaks it (llama.cpp, a proxy)."""
