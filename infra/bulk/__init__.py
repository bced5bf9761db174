"""Bulk jobs: bucket and table, functions, state machine, inbox, alarms."""
