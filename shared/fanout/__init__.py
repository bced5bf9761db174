"""One prompt to many models, many prompts to one model: an OpenAI-compatible gateway."""
