"""From one model name to one response: load balancing, retries, cooldowns, attempts."""
