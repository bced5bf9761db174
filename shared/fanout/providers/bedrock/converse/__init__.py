"""Converse, Bedrock's own API for chat models."""
