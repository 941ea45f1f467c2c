"""What the image's folder holds: the locked packages, whole as far as they are used, ready to run, and no means to change it."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from importlib.metadata import distributions

import pytest
from packaging.utils import canonicalize_name

from tests.deploy.image.conftest import Built
from tests.deploy.image.containerfile import ROOT
from tests.deploy.image.lock import locked
from tests.deploy.image.sandbox import NOBODY, Sandbox

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

UNCHECKED = 0b01  # PEP 552: found by a hash, which nobody compares


def test_exactly_what_is_locked_is_installed(built: Built):
    installed = {canonicalize_name(each.name): each.version for each in distributions(path=[str(built.packages)])}
    assert installed.pop("trafficmetrics") in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert installed == {each.name: each.version for each in locked("requirements.txt") if each.holds(built.python.name)}


def test_it_holds_the_projects_programs_and_no_installer(built: Built):
    names = {path.name for path in (built.app / "bin").iterdir()}
    assert names == {"python", "python3", built.python.name, "trafficmetrics", "kubectl-traffic", "kubectl_complete-traffic"}
    assert {path.name for path in built.app.iterdir()} == {"bin", "lib", "lib64", "pyvenv.cfg", "sbom.cdx.json"}
    assert [path for name in ("pip", "setuptools", "wheel", "hatchling") for path in built.packages.glob(f"{name}*")] == []


def test_the_lists_of_files_are_true(built: Built):
    listed = set()
    for record in built.packages.glob("*.dist-info/RECORD"):
        for name, digest, _ in csv.reader(record.read_text(encoding="utf-8").splitlines()):
            path = built.packages / name
            listed.add(path.resolve())
            if digest:
                found = hashlib.sha256(path.read_bytes()).digest()
                assert digest == f"sha256={base64.urlsafe_b64encode(found).rstrip(b'=').decode()}", name
    there = {path.resolve() for path in built.packages.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert there - listed == set()


def test_all_its_python_is_compiled_for_a_root_that_is_read_only(built: Built):
    tag = built.python.name.replace("python", "cpython-").replace(".", "")
    sources = [path for path in built.packages.rglob("*.py") if not path.is_relative_to(built.packages / "botocore" / "data")]
    compiled = [path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in sources]
    assert len(sources) > 500
    assert [path for path in compiled if not path.is_file() or path.read_bytes()[4:8] != UNCHECKED.to_bytes(4, "little")] == []


def test_nothing_is_compiled_when_it_starts(image: Sandbox):
    done = image.run("/app/bin/python", "-v", "-c", "import apiservice.main, kubernetes.aio.client, grpc", user=NOBODY)
    assert done.returncode == 0, done.stderr
    assert "# code object from '/app/lib" in done.stderr or "matches /app/lib" in done.stderr
    assert re.findall(r"# code object from '?/app/\S+\.py\b", done.stderr) == []
    assert "# wrote" not in done.stderr


def test_nobody_but_its_owner_can_change_it_and_all_can_read_it(built: Built):
    modes = {path.lstat().st_mode & 0o7777 for path in [built.app, *built.app.rglob("*")] if not path.is_symlink()}
    assert modes == {0o755, 0o644}


def test_every_module_of_the_project_can_be_imported(image: Sandbox):
    script = """
import importlib, pkgutil
for package in ("metrics_api", "backends", "apiservice", "kubectl_traffic"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if module.name != "backends.history" and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            print(module.name)
"""
    done = image.run("/app/bin/python", "-c", script, user=NOBODY)
    assert done.returncode == 0, done.stderr
    assert {"backends.cloudwatch.session", "backends.linkerd.backend", "apiservice.main"} <= set(done.stdout.split())


def test_the_services_of_aws_that_the_source_calls_are_described(image: Sandbox):
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "backends" / "cloudwatch").glob("*.py"))
    calls = sorted(set(re.findall(r'call\(\s*"([a-z-]+)", "([a-z_]+)"', code)))
    assert {service for service, _ in calls} >= {"application-signals", "cloudwatch", "sts", "xray"}
    script = f"""
import asyncio, botocore.exceptions
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
async def ask(service, operation):
    given = dict(region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    config = AioConfig(retries=dict(max_attempts=0), connect_timeout=5, parameter_validation=False)
    async with get_session().create_client(service, config=config, **given) as client:
        try:
            await getattr(client, operation)()
        except botocore.exceptions.EndpointConnectionError as error:
            print(error)
async def main():
    for service, operation in {calls!r}:
        await ask(service, operation)
asyncio.run(main())
"""
    done = image.run("/app/bin/python", "-c", script, user=NOBODY)
    assert done.stdout.count("Could not connect to the endpoint URL") == len(calls), done.stdout + done.stderr
    assert "https://monitoring.eu-west-1.amazonaws.com" in done.stdout


def test_its_bill_of_materials_names_exactly_what_is_installed(built: Built):
    bill = json.loads((built.app / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["timestamp"] == "2025-11-24T16:00:00+00:00"
    told = [bill["metadata"]["component"], *bill["components"]]
    installed = {(canonicalize_name(each.name), each.version) for each in distributions(path=[str(built.packages)])}
    assert {(each["name"], each["version"]) for each in told} == installed
    assert len(told) == len(installed)
    assert bill["metadata"]["component"]["name"] == "trafficmetrics"
    hashes = {each.name: each.hashes for each in locked("requirements.txt")}
    (wheel,) = (built.fetched / "dist").glob("*.whl")
    hashes["trafficmetrics"] = {hashlib.sha256(wheel.read_bytes()).hexdigest()}
    for each in told:
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"
        assert {digest["content"] for digest in each["hashes"]} <= hashes[each["name"]]
        assert each["licenses"], each["name"]
    needs = {each["ref"].partition("==")[0]: each.get("dependsOn", []) for each in bill["dependencies"]}
    assert {name.partition("==")[0] for name in needs["trafficmetrics"]} >= {"aiohttp", "kubernetes", "aiobotocore", "grpcio"}


def test_its_bill_of_materials_follows_the_schema(built: Built):
    script = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = open(sys.argv[1], encoding="utf-8").read()
for each in (text, text.replace('"type": "library"', '"type": "shelf"', 1)):
    print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(each) is None)
"""
    done = built.sandbox.run("/tools/bin/python", "-c", script, "/app/sbom.cdx.json")
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_a_bill_of_materials_is_not_made_without_a_wheel(built: Built):
    done = built.sandbox.run("/tools/bin/python", "/source/scripts/sbom", "--wheels", "/fetched/dist", "/app")
    assert done.returncode == 1
    assert "none of the folders has its wheel" in done.stderr
    assert done.stdout == ""


def test_every_file_of_the_projects_packages_is_in_it(built: Built):
    """Dialects, pages and schemas are read at run time, and are no modules."""
    missing = []
    for package in ("metrics_api", "backends", "apiservice", "kubectl_traffic"):
        files = [path.relative_to(built.source) for path in (built.source / package).rglob("*") if path.is_file()]
        missing += [str(path) for path in files if not (built.packages / path).is_file()]
    assert missing == []
