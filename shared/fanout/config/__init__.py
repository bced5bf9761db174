"""The config file, with LiteLLM's keys: its fields, how it is read, and what it resolves to."""
