"""The Lambda functions: a few lines each that start the gateway or call `fanout.bulk`."""
