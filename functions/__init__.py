"""What AWS starts: hosts of a few lines over the library. No logic."""
