"""Our own vocabulary: OpenAI's shapes as values. Knows nothing of bytes, providers or I/O."""
