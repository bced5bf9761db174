"""The HTTP surface: OpenAI's routes as one ASGI app, the same for every host."""
