"""The worker and the finisher: lines to stored results, stored results to files."""
