"""OpenAI's chat completions, the API that most vendors copy, and the quirks of their copies."""
