"""Our own vocabulary: OpenAI's shapes as values. Does not depend on bytes, providers or I/O."""
