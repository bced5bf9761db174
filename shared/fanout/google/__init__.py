"""Google Cloud: access tokens for requests to its APIs."""
