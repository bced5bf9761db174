"""The AWS side as constructs. Knows paths and handler names; never imports the gateway."""
