"""Proxies scraped directly, with no store between: counters are kept in memory for as long as the longest window."""

from backends.scrape.backend import ScrapeBackend
from backends.scrape.settings import ScrapeSettings, read_settings
from backends.scrape.targets import Target

__all__ = ["ScrapeBackend", "ScrapeSettings", "Target", "read_settings"]
