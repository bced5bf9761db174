"""The zip that every function shares: wheels, our code, the config, byte code."""
