"""The gateway: one checked request to one response, in any mode."""
