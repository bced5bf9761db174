"""Workers and the finisher: lines to stored results, results to files."""
