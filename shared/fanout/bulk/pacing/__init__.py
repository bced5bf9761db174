"""How fast a job sends: rate limits, adaptive concurrency, retries of a line."""
