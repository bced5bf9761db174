"""
Converse, Bedrock's own API for chat models.

Its blocks, events and stop reasons look like those of Anthropic's Messages API. But other documents
define them, and AWS changes them independently, so each folder has its own. Only Claude's settings
are Anthropic's here, too: Converse passes them on to the model.
"""
