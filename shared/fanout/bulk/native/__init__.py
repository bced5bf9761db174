"""The lane `native`: lines that are sent in the providers' own batches, and what comes back."""
