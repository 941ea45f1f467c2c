"""Other ways to read the same numbers: what Grafana, autoscalers and canary controllers speak. Each asks the API as its user would."""
