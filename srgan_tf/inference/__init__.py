"""Run models of any kind on pictures of any size."""
