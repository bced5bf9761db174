"""Google Cloud's Vertex AI: Gemini and Claude, with the codecs of their own APIs."""
