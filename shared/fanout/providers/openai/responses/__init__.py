"""Chat completions of OpenAI's models that have only the Responses API."""
