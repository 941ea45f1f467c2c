"""What Grafana's data sources ask: time series, tables, variables, filters, and the graph of who calls whom."""

from apiservice.surfaces.grafana.surface import Grafana

__all__ = ["Grafana"]
