"""Configuration that changes while the server runs: the files are followed, and the sources in them change places without a restart."""

from apiservice.reloading.current import CurrentSources
from apiservice.reloading.files import ConfigurationFiles
from apiservice.reloading.reloader import Reloader

__all__ = ["ConfigurationFiles", "CurrentSources", "Reloader"]
