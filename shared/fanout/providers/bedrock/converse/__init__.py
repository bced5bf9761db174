"""Converse, the API of Bedrock that every chat model has."""
