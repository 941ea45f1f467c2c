"""CloudWatch and X-Ray as sources: what AWS keeps of the traffic of workloads, read by its own SDK."""
