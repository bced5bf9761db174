"""The bulk surface: files of prompts, planned, worked and finished by any number of workers."""
