"""The Kubernetes extension API server: from HTTP requests of the aggregation layer to TrafficMetrics and back."""
