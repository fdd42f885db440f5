"""Score models on benchmarks as papers do; write tables, sheets and reports."""
