"""``trafficmetrics demo``: a small shop behind real Envoys, for whoever has no cluster and no mesh at hand."""

from apiservice.demo.commands import kubectl_lines, plugin_lines
from apiservice.demo.mesh import Mesh, Target, run_mesh
from apiservice.demo.objects import ShopObjects
from apiservice.demo.proxy import MeshFailure
from apiservice.demo.shop import SHOP, Shop

__all__ = ["SHOP", "Mesh", "MeshFailure", "Shop", "ShopObjects", "Target", "kubectl_lines", "plugin_lines", "run_mesh"]
