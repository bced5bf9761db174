"""What goes into a job: lines, the planner, the quote."""
