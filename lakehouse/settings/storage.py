"""Where state lies: folders of this machine, the Delta warehouse, the object store, the relational database."""

from pathlib import Path

from pydantic import Field, SecretStr

from lakehouse.settings.base import PROJECT_ROOT, SettingsGroup


class StorageSettings(SettingsGroup, frozen=True):
    """Where state lies: folders of this machine, the Delta warehouse, the object store, the relational database."""

    home: Path = Field(
        PROJECT_ROOT / ".lakehop", description="Folder of the local stack's state, logs, keys and spool."
    )
    cache: Path = Field(Path.home() / ".cache" / "lakehop", description="Folder of prepared models; clones share it.")
    warehouse: str = Field(
        "", description="Root of the Delta tables: a folder or s3a://…; empty: `warehouse` under home."
    )
    s3_endpoint: str = Field(
        "", description="An S3-compatible store such as http://127.0.0.1:9000; empty: Amazon's, of the region."
    )
    s3_region: str = Field("us-east-1", description="Region of the buckets; most other stores take any.")
    s3_access_key: SecretStr = Field(
        SecretStr(""), description="Access key of the buckets; empty: what AWS's own variables, files or roles give."
    )
    s3_secret_key: SecretStr = Field(SecretStr(""), description="The secret that belongs to it.")

    @property
    def warehouse_root(self) -> str:
        """Root of the Delta tables, without a trailing slash."""
        return (self.warehouse or str(self.home / "warehouse")).rstrip("/")

    @property
    def delta_storage(self) -> dict[str, str]:
        """What deltalake must know of the warehouse's storage, where AWS's own environment does not say it."""
        if not self.warehouse_root.startswith("s3a://"):
            return {}
        given = {
            "endpoint_url": self.s3_endpoint,
            "region": self.s3_region,
            "access_key_id": self.s3_access_key.get_secret_value(),
            "secret_access_key": self.s3_secret_key.get_secret_value(),
            "allow_http": "true" if self.s3_endpoint.startswith("http://") else "",
            # of two writers of one version the second is refused, by the store itself
            "conditional_put": "etag",
        }
        bounds = {"timeout": "30s", "connect_timeout": "10s", "max_retries": "3", "retry_timeout": "60s"}
        return {f"aws_{name}": value for name, value in given.items() if value} | bounds

    @property
    def spool_dir(self) -> Path:
        """Where services leave call records until `load_llm_calls` takes them."""
        return self.home / "spool"

    @property
    def ledger_path(self) -> Path:
        """SQLite file of API keys and what each has spent today."""
        return self.home / "ledger.sqlite"
