"""OpenAI's chat completions, the wire that most vendors speak, and what its rows may bend."""
