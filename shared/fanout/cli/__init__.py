"""The command line `fanout`: parses arguments, runs a gateway or a job, and prints."""
