"""The state machine's functions: planner, worker and finisher."""
