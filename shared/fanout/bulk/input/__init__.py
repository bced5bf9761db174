"""The input of a job: its lines, the planner, the quote."""
