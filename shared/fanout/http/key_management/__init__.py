"""LiteLLM's API for virtual keys, teams, users, budgets and spend; the entry point is `routes`."""
