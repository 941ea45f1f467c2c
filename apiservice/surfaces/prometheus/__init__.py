"""The traffic as Prometheus clients read it: a page to scrape, and the part of Prometheus' HTTP API that plain selectors need."""

from apiservice.surfaces.prometheus.facade import PrometheusFacade

__all__ = ["PrometheusFacade"]
