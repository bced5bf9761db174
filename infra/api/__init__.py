"""The HTTP side: API Gateway's REST API and the Lambda function behind it."""
