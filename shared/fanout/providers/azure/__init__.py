"""Azure OpenAI: OpenAI's wire at addresses of its own, with the notes of its content filter."""
