"""The HTTP API: OpenAI's routes as one ASGI app, the same on a laptop and on AWS Lambda."""
