"""Tables: prompts from the columns of a row, and rows with their responses."""
