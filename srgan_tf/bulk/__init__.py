"""Pictures by the million, on Ray: names and paths go through the cluster, bytes from storage to worker and back."""
