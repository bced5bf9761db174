"""The names that a chat request's fields have in Anthropic's Messages API."""

from __future__ import annotations

NAMES = {
    "max_completion_tokens": "max_tokens",
    "messages[].content[].file": "messages[].content[].document",
    "messages[].content[].image_url": "messages[].content[].image",
    "messages[].extra_content": "messages[].content[].thinking",
    "messages[].reasoning": "messages[].content[].thinking",
    "messages[].reasoning_content": "messages[].content[].thinking",
    "messages[].thinking_blocks": "messages[].content[].thinking",
    "messages[].tool_call_id": "messages[].content[].tool_use_id",
    "messages[].tool_calls[].function.arguments": "messages[].content[].input",
    "messages[].tool_calls[].function": "messages[].content[]",
    "messages[].tool_calls[]": "messages[].content[]",
    "messages[].tool_calls": "messages[].content[].tool_use",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning_effort": "output_config.effort",
    "response_format.json_schema": "output_config.format",
    "response_format": "output_config.format",
    "stop": "stop_sequences",
    "tools[].function.parameters": "tools[].input_schema",
    "tools[].function": "tools[]",
    "user": "metadata.user_id",
}
"""Those whose names are others, also of what is left out; a longer one is before its beginning."""

INNER = {
    "file": ("source",),
    "file_data": ("data", "url"),
    "file_id": ("file_id", "url"),
    "image_url": ("source",),
    "parameters": ("input_schema",),
    "url": ("data",),
}
"""What a chat request's part or tool has, by this API's names."""
