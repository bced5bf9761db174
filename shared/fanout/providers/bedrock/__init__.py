"""Amazon Bedrock by its OpenAI-compatible chat completions."""
