"""The app behind the Lambda Web Adapter, AWS's layer that turns invocations into HTTP requests."""
