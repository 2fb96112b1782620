"""What `lakehop up` starts: the address, the processes and the health check of each part.

A part named in `local_parts` runs here as one or more processes; any other part runs elsewhere and is only checked.
A check talks the part's own protocol, because an open port proves nothing.
"""

import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from infra.stack.airflow import LocalAirflow
from infra.stack.processes import Process, child_environment, program
from lakehouse.errors import InvalidInput, Unavailable
from lakehouse.kept_driver import serves, socket_path
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse.spark_conf import spark_conf

CHECK_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class StackPart:
    """One part.

    `setting`: the variable that holds its address. `check` returns "" when the part serves, else the reason in one
    line. `prepare` runs before a start. `start_timeout_s`: how long a living part may take until it serves, on a busy
    machine too; a dead part is reported at once.
    """

    name: str
    address: str
    setting: str
    start_timeout_s: float
    check: Callable[[], str]
    processes: Callable[[], Sequence[Process]]
    prepare: Callable[[], None] = lambda: None


def stack_parts(settings: Settings) -> dict[str, StackPart]:
    """Every part that `lakehop up` starts or checks, by name."""
    airflow = LocalAirflow(settings)
    kept = (spark_part(settings),) if _keeps_driver(settings) else ()
    return {
        part.name: part
        for part in (
            *kept,
            StackPart(
                name="milvus",
                address=settings.milvus_uri,
                setting="LAKEHOP_MILVUS_URI",
                start_timeout_s=300,
                check=lambda: _check_milvus(settings),
                processes=lambda: [_milvus(settings)],
            ),
            StackPart(
                name="vllm",
                address=settings.llm_base_url,
                setting="LAKEHOP_LLM_BASE_URL",
                start_timeout_s=420,  # 40 to 100 s alone on 2 cores, after a first conversion; more beside Spark
                check=lambda: _check_http(f"{settings.llm_base_url}/models", settings.llm_api_key.get_secret_value()),
                processes=lambda: [_vllm(settings)],
            ),
            StackPart(
                name="gateway",
                address=settings.gateway_url,
                setting="LAKEHOP_GATEWAY_URL",
                start_timeout_s=420,
                check=lambda: _check_http(f"{settings.gateway_url}/healthz"),
                processes=lambda: [_gateway(settings)],
            ),
            StackPart(
                name="airflow",
                address=settings.airflow_url,
                setting="LAKEHOP_AIRFLOW_URL",
                start_timeout_s=420,
                check=lambda: _check_airflow(settings),
                processes=airflow.processes,
                prepare=airflow.prepare,
            ),
        )
    }


def spark_part(settings: Settings) -> StackPart:
    """The kept Spark driver, which runs the jobs of the local Airflow."""
    return StackPart(
        name="spark",
        address=f"unix:{socket_path(settings)}",
        setting="LAKEHOP_SPARK_MASTER",
        start_timeout_s=300,
        check=lambda: serves(settings),
        processes=lambda: [_spark(settings)],
    )


def thrift_part(settings: Settings) -> StackPart:
    """The Spark Thrift server, started by `lakehop thrift start` only: its JVM is too large to run unused."""
    return StackPart(
        name="thrift",
        address=f"jdbc:hive2://127.0.0.1:{settings.thrift_port}",
        setting="LAKEHOP_THRIFT_PORT",
        start_timeout_s=180,
        check=lambda: _check_port("127.0.0.1", settings.thrift_port),
        processes=lambda: [_thrift(settings)],
    )


def local_part_names(settings: Settings) -> tuple[str, ...]:
    """The names in `local_parts`, and `spark` with `airflow`. Raises InvalidInput for an unknown name."""
    known = stack_parts(settings)
    names = _named(settings)
    for name in names:
        if name not in known:
            raise InvalidInput(
                f"LAKEHOP_LOCAL_PARTS names {name!r}: must be some of {', '.join(known)}. Remove or correct the name."
            )
    return (*names, "spark") if _keeps_driver(settings) else names


def _named(settings: Settings) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in settings.local_parts.split(","))))


def _keeps_driver(settings: Settings) -> bool:
    """The driver runs jobs of a local Airflow only: its socket is on this machine."""
    return settings.spark_keep_driver and settings.spark_is_local and "airflow" in _named(settings)


def _milvus(settings: Settings) -> Process:
    address = urlsplit(settings.milvus_uri)
    data = settings.home.resolve() / "milvus"
    # Without --host it listens on every interface, and it has no passwords.
    command = [sys.executable, "-m", "infra.stack.milvus_lite_server", "--host", "127.0.0.1", "--data-dir", str(data)]
    return _process(settings, "milvus", "LAKEHOP_MILVUS_URI", [*command, "--port", str(address.port)], address.port)


def _vllm(settings: Settings) -> Process:
    port = urlsplit(settings.llm_base_url).port
    return _process(settings, "vllm", "LAKEHOP_LLM_BASE_URL", [sys.executable, "-m", "infra.stack.vllm"], port)


def _gateway(settings: Settings) -> Process:
    port = urlsplit(settings.gateway_url).port
    command = [program("bentoml"), "serve", "serving.gateway:Gateway", "--host", "127.0.0.1", "--port", str(port)]
    # Shorter than TERM_GRACE_S: the gateway then stops its tasks and settles their spend before it could be killed.
    command += ["--timeout-graceful-shutdown", "5"]
    return _process(settings, "gateway", "LAKEHOP_GATEWAY_URL", command, port)


def _spark(settings: Settings) -> Process:
    # The shell starts it again when it ends, by itself or killed.
    keep = ["sh", "-c", 'while :; do "$@"; sleep 3; done', "keep", sys.executable, "-m", "spark_jobs.kept_driver"]
    return _process(settings, "spark", "LAKEHOP_SPARK_MASTER", keep, None)


def _thrift(settings: Settings) -> Process:
    command = [program("spark-submit"), "--master", settings.spark_master]
    for name, value in spark_conf(settings).items():
        command += ["--conf", f"{name}={value}"]
    script = str(PROJECT_ROOT / "spark_jobs" / "upkeep" / "thrift_server.py")
    return _process(settings, "thrift", "LAKEHOP_THRIFT_PORT", [*command, script], settings.thrift_port)


def _process(settings: Settings, name: str, setting: str, command: list[str], port: int | None) -> Process:
    environment = child_environment(settings) | {
        "PYTHONPATH": str(PROJECT_ROOT),
        # numpy multiplies small matrices here: more threads would busy-wait on cores that other parts need.
        "OPENBLAS_NUM_THREADS": "1",
        "BENTOML_DO_NOT_TRACK": "True",
        # Not shared: BentoML deletes the metrics in its home when another server starts.
        "BENTOML_HOME": str(settings.home.resolve() / "bentoml"),
    }
    return Process(name, tuple(command), environment, _folder(settings), port, setting)


def _folder(settings: Settings) -> Path:
    settings.home.mkdir(parents=True, exist_ok=True)
    return PROJECT_ROOT


def _check_milvus(settings: Settings) -> str:
    address = urlsplit(settings.milvus_uri)
    if closed := _check_port(address.hostname or "", address.port or 80):
        return closed  # without the second that importing the client takes
    from lakehouse.index.server import Server

    server = Server(settings.model_copy(update={"milvus_timeout_s": CHECK_TIMEOUT_S}))
    try:
        _ = server.capabilities
    except Unavailable as error:
        return _one_line(error)
    finally:
        server.close()
    return ""


def _check_airflow(settings: Settings) -> str:
    import httpx

    try:
        response = httpx.get(f"{settings.airflow_url}/api/v2/monitor/health", timeout=CHECK_TIMEOUT_S)
        response.raise_for_status()
        health = response.json()
    except (httpx.HTTPError, ValueError) as error:
        return _one_line(error)
    unhealthy = [name for name in ("metadatabase", "scheduler", "dag_processor") if health[name]["status"] != "healthy"]
    return f"not healthy: {', '.join(unhealthy)}" if unhealthy else ""


def _check_http(url: str, bearer: str = "") -> str:
    import httpx

    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    try:
        response = httpx.get(url, headers=headers, timeout=CHECK_TIMEOUT_S)
    except httpx.HTTPError as error:
        return _one_line(error)
    return "" if response.is_success else f"{url} answered {response.status_code}"


def _check_port(host: str, port: int) -> str:
    try:
        socket.create_connection((host, port), timeout=CHECK_TIMEOUT_S).close()
    except OSError as error:
        return f"{host}:{port}: {error.strerror or error}"
    return ""


def _one_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
