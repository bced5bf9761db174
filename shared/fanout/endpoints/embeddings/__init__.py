"""OpenAI's `/v1/embeddings`: requests, how they are divided into calls, and responses."""
