"""The API function: the same app as on a laptop, in a loop over the invocations of Lambda."""
