"""Where Delta Lake finds what an fsspec URL names, for the clouds that both of them reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

AZURE: Final = frozenset({"abfs", "abfss", "az"})
GOOGLE: Final = frozenset({"gs", "gcs"})


@dataclass(frozen=True, slots=True)
class DeltaPlace:
    """The address of a table and how to reach it, as `deltalake` wants them."""

    uri: str
    options: dict[str, str] = field(default_factory=dict, repr=False)
    """Storage options, credentials among them. What is not here, Delta Lake reads from the same
    environment variables as fsspec's client does."""


def delta_place(filesystem: Any, path: str) -> DeltaPlace | None:
    """The place of a path in a cloud that Delta Lake reaches too; None for any other.

    Args:
        filesystem: An fsspec file system.
        path: Bucket or container, then the key, not quoted.
    """
    protocols = filesystem.protocol
    names = {protocols} if isinstance(protocols, str) else set(protocols)
    if names & AZURE:
        return DeltaPlace(f"az://{quote(path)}", _azure_options(filesystem))
    if names & GOOGLE:
        return DeltaPlace(f"gs://{quote(path)}")
    return None


def _azure_options(filesystem: Any) -> dict[str, str]:
    """What adlfs was told, or found in the environment, in Delta Lake's words."""
    stated = _parsed(filesystem.connection_string or "")
    endpoint = stated.get("blobendpoint")
    options = {
        "azure_storage_account_name": stated.get("accountname") or filesystem.account_name,
        "azure_storage_account_key": stated.get("accountkey") or filesystem.account_key,
        "azure_storage_sas_key": stated.get("sharedaccesssignature") or filesystem.sas_token,
        "azure_storage_client_id": filesystem.client_id,
        "azure_storage_client_secret": filesystem.client_secret,
        "azure_storage_tenant_id": filesystem.tenant_id,
        "azure_storage_endpoint": endpoint and endpoint.rstrip("/"),
        "azure_allow_http": "true" if endpoint and endpoint.startswith("http://") else None,
    }
    return {name: value for name, value in options.items() if value}


def _parsed(connection_string: str) -> dict[str, str]:
    """The parts of an Azure connection string, by their names in lower case."""
    parts = (part.partition("=") for part in connection_string.split(";") if "=" in part)
    return {name.strip().lower(): value.strip() for name, _, value in parts}
