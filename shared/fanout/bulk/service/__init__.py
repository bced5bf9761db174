"""Files and batches as clients see them."""
