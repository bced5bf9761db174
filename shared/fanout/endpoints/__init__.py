"""The endpoints beside chat completions: each folder translates another API from and to it."""
