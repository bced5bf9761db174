"""Amazon Bedrock: Converse for every chat model, OpenAI's API for OpenAI's own."""
