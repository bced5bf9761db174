"""The command line: people's surface. Parses, asks the gateway, prints."""
