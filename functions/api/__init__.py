"""The API function: the same app as on a laptop, behind the Lambda Web Adapter."""
