"""What exists in the cluster, who owns whom, what is selected and split: kept in memory by watching."""

from apiservice.inventory.kinds import WATCHED
from apiservice.inventory.records import Pool
from apiservice.inventory.reflector import Reflector
from apiservice.inventory.store import Store
from apiservice.inventory.view import ClusterObjects

__all__ = ["WATCHED", "ClusterObjects", "Pool", "Reflector", "Store"]
