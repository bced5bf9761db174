"""
LiteLLM's config keys: which ones Fanout supports, and why it rejects the others.

The tables are the data behind `fanout check`, the loader and `docs/litellm.md`. Sources, read in
November 2026: docs.litellm.ai (the pages "All settings", "Input params" and "Routing"), and the
signatures of LiteLLM 1.110.2.
"""
