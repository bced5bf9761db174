"""Bulk jobs on AWS: bucket and table, functions, state machine, inbox, alarms."""
