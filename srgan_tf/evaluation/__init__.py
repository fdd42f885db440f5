"""Scores as papers take them, benchmarks to tables, sheets and pages of them."""
