"""Amazon Bedrock: Converse for every model that chats, OpenAI's completions for OpenAI's own."""
