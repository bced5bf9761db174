"""AWS credentials and Secrets Manager."""
