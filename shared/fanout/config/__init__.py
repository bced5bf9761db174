"""The YAML: its shape, how it is read, and what it resolves to. LiteLLM's names."""
