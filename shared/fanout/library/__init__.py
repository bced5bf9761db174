"""The Python functions, in process: no server and no AWS account are needed."""
