"""Google's Gemini API, the native one of AI Studio."""
