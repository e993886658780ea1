"""The Containerfile and the compose file say what the program says, and hold no secrets."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml
from prefect.settings import Settings as PrefectSettings
from prefect.settings.legacy import _get_settings_fields

from flows.service.settings import PREFIX as SERVE_PREFIX
from flows.service.settings import ServeSettings
from rescaling_core import __version__
from tasks.settings import PREFIX, Settings
from tests.command import REPOSITORY
from tests.unit.infra.commands import refuse_unknown

INFRA = REPOSITORY / "infra"
DEPLOYMENT_ONLY = {"REFOLD_SOURCE", "REFOLD_ARCHIVE", "REFOLD_HOME"}
SERVES = {f"{SERVE_PREFIX}{name.upper()}" for name in ServeSettings.model_fields}
RUNS = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
OURS = RUNS | SERVES | DEPLOYMENT_ONLY
OTHERS = {
    "DO_NOT_TRACK",
    "HOME",
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "RAY_ADDRESS",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_raylet_start_wait_time_s",
    "RAY_USAGE_STATS_ENABLED",
    "XDG_CACHE_HOME",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
}
Service = dict[str, Any]


@pytest.fixture(scope="module")
def containerfile() -> str:
    """With continued lines put together, and without comments."""
    text = (INFRA / "Containerfile").read_text()
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return "\n".join(kept).replace("\\\n", " ")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text())
    return found


def _refuse_unknown_variables(names: set[str]) -> None:
    prefect = _get_settings_fields(PrefectSettings)
    for name in names:
        known = name in OURS | OTHERS or name in prefect or name.startswith("AWS_")
        assert known, f"nothing reads {name}"


def test_the_image_runs_as_nobody_in_particular_and_checks_itself(containerfile: str) -> None:
    *_, last = containerfile.split("\nFROM ")
    assert re.findall(r"^USER (\S+)$", last, re.MULTILINE) == ["10001:10001"]
    (check,) = re.findall(r"^HEALTHCHECK .*CMD \[(.*)\]$", last, re.MULTILINE)
    refuse_unknown(re.findall(r'"([^"]+)"', check))
    variables = set(re.findall(r"([A-Z][A-Z_]+)=", last.split("ENV ")[1].split("\n")[0]))
    _refuse_unknown_variables(variables)
    assert "REFOLD_HOME" in variables


def test_the_image_is_made_of_what_there_is(containerfile: str) -> None:
    ignored = (REPOSITORY / ".containerignore").read_text()
    assert (REPOSITORY / ".dockerignore").read_text() == ignored
    for line in re.findall(r"^COPY (?!--from)(.*)$", containerfile, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (REPOSITORY / source).exists(), source
            assert f"!{source}\n" in ignored, source
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (asked,) = re.findall(r'"\.\[([\w,]+),\$extras\$\{EXTRAS:\+,\$EXTRAS\}\]"', containerfile)
    variants = set(re.findall(r"extras=(\w+)", containerfile))
    assert {*asked.split(","), *variants} <= project["optional-dependencies"].keys()
    (python,) = re.findall(r"python:(3\.\d+)-slim", containerfile)
    assert f"/lib/python{python}/" in containerfile
    assert project["requires-python"] == f">={python}"
    assert re.search(r"^torch==", (INFRA / "constraints.txt").read_text(), re.MULTILINE)


def test_no_secret_is_written_down(containerfile: str, compose: dict[str, Any]) -> None:
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY")
    assert not secret.search(containerfile)
    asked = set()
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if secret.search(name):
                (variable,) = re.findall(r"^\$\{(\w+):\?", value)
                asked.add(variable)
    example = re.findall(r"^(\w+)=(.*)$", (INFRA / "env.example").read_text(), re.MULTILINE)
    assert {name for name, _ in example} >= asked
    assert {value for _, value in example} == {""}
    assert "/infra/.env" in (REPOSITORY / ".gitignore").read_text().splitlines()


def test_every_service_is_hardened_and_refers_to_what_there_is(compose: dict[str, Any]) -> None:
    services: dict[str, Service] = compose["services"]
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        for needed in service.get("depends_on", ()):
            assert needed in services, (name, needed)
            condition = (
                dict(service["depends_on"]).get(needed, {})
                if isinstance(service["depends_on"], dict)
                else {}
            )
            if condition.get("condition") == "service_healthy":
                assert "healthcheck" in services[needed], needed
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            there = (
                (INFRA / source).exists()
                if source.startswith(".")
                else (source in compose["volumes"])
            )
            assert there, (name, source)
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "open to this machine alone"
    override = yaml.safe_load((INFRA / "compose.gpu.yaml").read_text())
    assert override["services"].keys() <= services.keys()


def test_every_variable_command_and_port_of_our_image_is_one_that_there_is(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    override = yaml.safe_load((INFRA / "compose.gpu.yaml").read_text())["services"]
    ours = {name: one for name, one in services.items() if "refold:" in one["image"]}
    assert ours.keys() >= {"ray-head", "ray-worker", "worker", "prefect"}
    for name, service in ours.items():
        told = service["environment"]
        _refuse_unknown_variables(
            told.keys() | override.get(name, {}).get("environment", {}).keys()
        )
        given = {
            key.removeprefix(PREFIX).lower(): value for key, value in told.items() if key in RUNS
        }
        Settings(**given)
        ServeSettings(
            **{
                key.removeprefix(SERVE_PREFIX).lower(): value
                for key, value in told.items()
                if key in SERVES
            }
        )
        if service["command"][0] == "refold":
            refuse_unknown([word.replace("$$", "$") for word in service["command"]])
        image = service["image"].removesuffix("}").split(":-")[1]
        assert image == f"refold:{__version__}-cpu"
    for url in re.findall(r"https?://([a-z-]+):\d+", yaml.safe_dump(services)):
        assert url in services, url


def test_prometheus_asks_the_ports_that_are_served(compose: dict[str, Any]) -> None:
    asked = yaml.safe_load((INFRA / "prometheus" / "prometheus.yml").read_text())
    services = compose["services"]
    targets = {one["job_name"]: one for one in asked["scrape_configs"]}
    (driver,) = targets["driver"]["static_configs"][0]["targets"]
    name, port = driver.split(":")
    assert services[name]["environment"]["REFOLD_METRICS_LISTEN"] == f"0.0.0.0:{port}"
    (serve,) = targets["serve"]["static_configs"][0]["targets"]
    name, port = serve.split(":")
    command = services[name]["command"]
    assert command[command.index("--port") + 1] == port
    (ray,) = targets["ray"]["dns_sd_configs"]
    for name in ray["names"]:
        command = services[name]["command"]
        assert command[command.index("--metrics-export-port") + 1] == str(ray["port"])
    for file in asked["rule_files"]:
        assert (INFRA / "prometheus" / file).exists()
