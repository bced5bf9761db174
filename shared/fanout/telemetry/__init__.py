"""Log records of requests and attempts, and what they cost."""
