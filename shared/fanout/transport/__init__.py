"""What talks to the network: the engine under it, and the door to httpx's types."""
