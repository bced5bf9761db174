"""Bulk jobs: files of prompts, cut into shards that any number of workers send."""
