"""Jobs on AWS: bytes and results in S3, records and counts in DynamoDB."""
