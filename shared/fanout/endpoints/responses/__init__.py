"""`POST /v1/responses`: OpenAI's Responses API, translated from and to chat completions."""
