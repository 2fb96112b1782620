"""Storage: folders of this machine, the Delta warehouse, the object store."""

from pathlib import Path

from pydantic import Field, SecretStr

from lakehouse.settings.base import PROJECT_ROOT, SettingsGroup


class StorageSettings(SettingsGroup, frozen=True):
    """Storage: folders of this machine, the Delta warehouse, the object store."""

    home: Path = Field(
        PROJECT_ROOT / ".lakehop",
        description="Folder of the local stack: state, logs, keys, call records that are not loaded yet.",
    )
    cache: Path = Field(
        Path.home() / ".cache" / "lakehop",
        description="Folder of prepared models and JARs; several clones can share it.",
    )
    warehouse: str = Field(
        "", description="Root of the Delta tables: a folder or s3a://…. Empty: `warehouse` under home."
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        description="SQLAlchemy URL of the database of keys, caps, Idempotency-Keys and durable tasks. Several "
        "gateways share postgresql+psycopg://user:password@host/database. Empty: `lakehop.sqlite` under home.",
    )
    s3_endpoint: str = Field(
        "", description="Address of an S3-compatible store, e.g. http://127.0.0.1:9000. Empty: Amazon S3."
    )
    s3_region: str = Field(
        "us-east-1", description="Region of the buckets; most stores other than Amazon S3 accept any name."
    )
    s3_access_key: SecretStr = Field(
        SecretStr(""), description="Access key of the buckets. Empty: AWS's own variables, files or roles."
    )
    s3_secret_key: SecretStr = Field(SecretStr(""), description="Secret key that belongs to LAKEHOP_S3_ACCESS_KEY.")

    @property
    def warehouse_root(self) -> str:
        """Root of the Delta tables, without a trailing slash."""
        return (self.warehouse or str(self.home / "warehouse")).rstrip("/")

    @property
    def delta_storage(self) -> dict[str, str]:
        """Storage options for deltalake; empty for a local warehouse."""
        if not self.warehouse_root.startswith("s3a://"):
            return {}
        given = {
            "endpoint_url": self.s3_endpoint,
            "region": self.s3_region,
            "access_key_id": self.s3_access_key.get_secret_value(),
            "secret_access_key": self.s3_secret_key.get_secret_value(),
            "allow_http": "true" if self.s3_endpoint.startswith("http://") else "",
            # the store refuses the second of two writers of one version
            "conditional_put": "etag",
        }
        bounds = {"timeout": "30s", "connect_timeout": "10s", "max_retries": "3", "retry_timeout": "60s"}
        return {f"aws_{name}": value for name, value in given.items() if value} | bounds

    @property
    def spool_dir(self) -> Path:
        """Folder where services write call records; the job `load_llm_calls` loads them."""
        return self.home / "spool"
