"""LiteLLM's API for virtual keys, teams, users, budgets and their spend; `routes` is its door."""
