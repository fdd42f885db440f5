"""Training batches and benchmark pairs from HR pictures."""
