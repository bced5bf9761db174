"""The state machine's functions: plan, work, finish."""
