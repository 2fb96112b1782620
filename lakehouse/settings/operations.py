"""Operations: what `lakehop up` starts, Airflow, feeds, alerts, upkeep, the Thrift server."""

from pydantic import Field, SecretStr

from lakehouse.settings.base import HttpUrl, SettingsGroup

# Airflow pools: how many tasks may write tables of documents and the index, and how many may call the model, at once.
WRITER_POOL = "lakehouse_writer"
MODEL_POOL = "model_caller"


class OperationsSettings(SettingsGroup, frozen=True):
    """Operations: what `lakehop up` starts, Airflow, feeds, alerts, upkeep, the Thrift server."""

    local_parts: str = Field(
        "milvus,vllm,gateway,airflow",
        description="Parts that `lakehop up` starts on this machine. Leave out the parts that run elsewhere.",
    )
    airflow_url: HttpUrl = Field("http://127.0.0.1:8080", description="Address of Airflow's API server.")
    airflow_user: str = Field("admin", description="User at Airflow's API; the local stack creates it.")
    airflow_password: SecretStr = Field(
        SecretStr(""), description="Password of that user. Empty: the password that the local stack wrote under home."
    )
    airflow_database: SecretStr = Field(
        SecretStr(""),
        description="SQLAlchemy URL of Airflow's metadata, e.g. postgresql+psycopg2://user:password@host/airflow. "
        "Empty: a SQLite file under home.",
    )
    alert_webhook_url: SecretStr = Field(
        SecretStr(""),
        description='Webhook that receives failures of DAGs as {"text": …}, e.g. of Slack. Empty: failures are only '
        "logged.",
    )
    feeds_file: str = Field(
        "",
        description="TOML file of scheduled feeds, evaluations and compilations. Empty: none.",
    )
    vacuum_hours: int = Field(
        168,
        ge=24,
        description="The DAG `maintenance` deletes files that no table version of the last so many hours needs; older "
        "versions cannot be read afterwards.",
    )
    ingest_timeout_s: float = Field(3600, gt=0, description="Time that `lakehop ingest` waits for its run, seconds.")

    thrift_port: int = Field(10000, ge=1, le=65535, description="Port of the Spark Thrift server, on loopback.")
