"""Mistral's batch jobs; its chat is a row, as its API is OpenAI's."""
