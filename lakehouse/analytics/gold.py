"""The gold views: costs, tasks and runs for analysts, as SQL that DuckDB and Spark run alike.

They are views and not tables, so no job has to refresh them and no number can differ from the calls it sums. Money is
summed as DECIMAL and cast back to the column's type, so that both engines give the same type; days are UTC.
"""

from dataclasses import dataclass

from lakehouse.tables import Column, Type


@dataclass(frozen=True)
class View:
    """One gold view: `name` is `schema.view`, `grain` describes one row, `sql` is its SELECT."""

    name: str
    grain: str
    columns: tuple[Column, ...]
    sql: str

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


_TENANT = Column("tenant_id", Type.STRING, "Tenant that pays, e.g. `acme`.")
_APP = Column("app", Type.STRING, "App of the API key.")
_PROGRAM = Column("program", Type.STRING, "Program that ran, e.g. `multihop`; `search` for a search without a program.")
_INPUT = Column("input_tokens", Type.LONG, "Input tokens, including cached tokens.")
_CACHED = Column("cached_tokens", Type.LONG, "Input tokens that the model server had cached; part of `input_tokens`.")
_OUTPUT = Column("output_tokens", Type.LONG, "Tokens that models wrote.")
_USD = Column("usd", Type.MONEY, "Cost, US dollars.")
_SAVED = Column("saved_usd", Type.MONEY, "Saving by cached tokens against the uncached price, US dollars.")

TASKS = View(
    "gold.tasks",
    grain="one user request: a task that ran, or runs, a program",
    columns=(
        Column("task_id", Type.STRING, "Id of the task, as in the answer."),
        _TENANT,
        Column("user_id", Type.STRING, "User as the app names them; NULL when the app names none.", True),
        _APP,
        Column("key_id", Type.STRING, "API key that was charged."),
        _PROGRAM,
        Column("program_version", Type.STRING, "Version of the compiled program; `uncompiled` for none."),
        Column(
            "status",
            Type.STRING,
            "`answered`, `partial`, `refused` or `failed`; NULL until its end is loaded.",
            True,
        ),
        Column("started_at", Type.TIME, "Start of the task or of its first call, the earlier."),
        Column("latency_s", Type.DOUBLE, "Duration, seconds; NULL until the end of the task is loaded.", True),
        Column("hops", Type.INT, "Hops of the task, e.g. 2."),
        Column("calls", Type.LONG, "Model calls, including failed calls."),
        Column("searches", Type.LONG, "Searches, including failed searches."),
        _INPUT,
        _CACHED,
        _OUTPUT,
        _USD,
        _SAVED,
    ),
    sql="""
SELECT
  task_id,
  tenant_id,
  max(user_id) AS user_id,
  max(app) AS app,
  max(key_id) AS key_id,
  max(program) AS program,
  max(program_version) AS program_version,
  max(CASE WHEN operation = 'invoke_agent' THEN outcome END) AS status,
  min(started_at) AS started_at,
  max(CASE WHEN operation = 'invoke_agent' THEN latency_ms END) / 1000 AS latency_s,
  max(hop) AS hops,
  count(CASE WHEN operation = 'chat' THEN 1 END) AS calls,
  count(CASE WHEN operation = 'retrieval' THEN 1 END) AS searches,
  CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
  CAST(sum(cached_tokens) AS BIGINT) AS cached_tokens,
  CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
  CAST(sum(usd) AS DECIMAL(18, 10)) AS usd,
  CAST(sum(saved_usd) AS DECIMAL(18, 10)) AS saved_usd
FROM silver.llm_calls
GROUP BY task_id, tenant_id
""",
)

COST_DAILY = View(
    "gold.cost_daily",
    grain="one UTC day of one tenant, app, program and model",
    columns=(
        Column("day", Type.DATE, "UTC day on which the calls began."),
        _TENANT,
        _APP,
        _PROGRAM,
        Column("model", Type.STRING, "Model; NULL for searches and tool calls.", True),
        Column("calls", Type.LONG, "Calls, including failed calls."),
        _INPUT,
        _CACHED,
        _OUTPUT,
        _USD,
        _SAVED,
    ),
    sql="""
SELECT
  CAST(started_at AS DATE) AS day,
  tenant_id,
  app,
  program,
  model,
  count(*) AS calls,
  CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
  CAST(sum(cached_tokens) AS BIGINT) AS cached_tokens,
  CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
  CAST(sum(usd) AS DECIMAL(18, 10)) AS usd,
  CAST(sum(saved_usd) AS DECIMAL(18, 10)) AS saved_usd
FROM silver.llm_calls
WHERE operation <> 'invoke_agent'
GROUP BY CAST(started_at AS DATE), tenant_id, app, program, model
""",
)

COST_PER_SUCCESS = View(
    "gold.cost_per_success",
    grain="one evaluation with gold answers",
    columns=(
        Column("run_id", Type.STRING, "Id of the evaluation; joins `gold.eval_runs`."),
        _TENANT,
        Column("program", Type.STRING, "Program that answered."),
        Column("program_version", Type.STRING, "Version of the program; NULL until its calls are loaded.", True),
        Column("model", Type.STRING, "Model that answered; NULL until its calls are loaded.", True),
        Column("questions", Type.STRING, "Name of the questions file."),
        Column("started_at", Type.TIME, "When the evaluation began."),
        Column("tasks", Type.LONG, "Questions with a gold answer, including failed tasks."),
        Column("successes", Type.LONG, "Tasks whose answer contains a gold answer."),
        Column("usd", Type.MONEY, "Cost of all tasks, including failed tasks, US dollars."),
        Column(
            "usd_per_success",
            Type.MONEY,
            "`usd` for each success, rounded to ten places; NULL without a success.",
            True,
        ),
    ),
    sql="""
WITH answered AS (
  SELECT task_id, max(program_version) AS program_version, max(model) AS model
  FROM silver.llm_calls
  GROUP BY task_id
),
judged AS (
  SELECT
    results.run_id,
    max(answered.program_version) AS program_version,
    max(answered.model) AS model,
    count(*) AS tasks,
    count(CASE WHEN results.success THEN 1 END) AS successes,
    CAST(sum(results.usd) AS DECIMAL(18, 10)) AS usd
  FROM gold.eval_results AS results
  LEFT JOIN answered ON answered.task_id = results.task_id
  WHERE results.success IS NOT NULL
  GROUP BY results.run_id
)
SELECT
  runs.run_id,
  runs.tenant_id,
  runs.program,
  judged.program_version,
  judged.model,
  runs.questions,
  runs.started_at,
  judged.tasks,
  judged.successes,
  judged.usd,
  CASE WHEN judged.successes > 0 THEN CAST(judged.usd / judged.successes AS DECIMAL(18, 10)) END AS usd_per_success
FROM judged
JOIN gold.eval_runs AS runs ON runs.run_id = judged.run_id
""",
)

FOCUS_COSTS = View(
    "gold.focus_costs",
    grain="one UTC day of one tenant, API key, app, program and price, in the columns of FOCUS 1.4",
    columns=(
        Column("BillingAccountId", Type.STRING, "`lakehop`: this installation."),
        Column("SubAccountId", Type.STRING, "The tenant."),
        Column("BillingPeriodStart", Type.TIME, "First moment of the UTC month."),
        Column("BillingPeriodEnd", Type.TIME, "First moment of the month after it."),
        Column("ChargePeriodStart", Type.TIME, "First moment of the UTC day."),
        Column("ChargePeriodEnd", Type.TIME, "First moment of the day after it."),
        Column("BillingCurrency", Type.STRING, "`USD`."),
        Column("BilledCost", Type.MONEY, "Cost of the calls, US dollars."),
        Column("EffectiveCost", Type.MONEY, "Equal to `BilledCost`: nothing is paid in advance."),
        Column("ContractedCost", Type.MONEY, "Equal to `BilledCost`: `prices.toml` holds the agreed prices."),
        Column("ListCost", Type.MONEY, "Cost of the calls if no token had been cached, US dollars."),
        Column("ChargeCategory", Type.STRING, "`Usage`."),
        Column("ChargeFrequency", Type.STRING, "`Usage-Based`."),
        Column("ChargeDescription", Type.STRING, "One line for a reader, e.g. `multihop calls SmolLM2-135M-Instruct`."),
        Column("ServiceProviderName", Type.STRING, "`Lakehop`."),
        Column("ServiceName", Type.STRING, "`Model calls`."),
        Column("ServiceCategory", Type.STRING, "`AI and Machine Learning`, a term of FOCUS."),
        Column("ResourceId", Type.STRING, "The model."),
        Column("ResourceType", Type.STRING, "`Model`."),
        Column(
            "SkuPriceId", Type.STRING, "Model and day of its price, e.g. `m@2026-01-01`; NULL without a price.", True
        ),
        Column("ConsumedQuantity", Type.LONG, "Input and output tokens."),
        Column("ConsumedUnit", Type.STRING, "`Tokens`."),
        Column("x_App", Type.STRING, "App of the API key."),
        Column("x_KeyId", Type.STRING, "API key that was charged."),
        Column("x_Program", Type.STRING, "Program that made the calls."),
        Column("x_Calls", Type.LONG, "Model calls, including failed calls."),
        Column("x_InputTokens", Type.LONG, "Input tokens, including cached tokens."),
        Column("x_CachedTokens", Type.LONG, "Input tokens that the model server had cached."),
        Column("x_OutputTokens", Type.LONG, "Tokens that models wrote."),
    ),
    sql="""
WITH daily AS (
  SELECT
    date_trunc('day', started_at) AS day_start,
    date_trunc('month', started_at) AS month_start,
    tenant_id,
    app,
    key_id,
    program,
    model,
    price_from,
    count(*) AS calls,
    CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    CAST(sum(cached_tokens) AS BIGINT) AS cached_tokens,
    CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    CAST(sum(usd) AS DECIMAL(18, 10)) AS usd,
    CAST(sum(usd + saved_usd) AS DECIMAL(18, 10)) AS uncached_usd
  FROM silver.llm_calls
  WHERE operation = 'chat'
  GROUP BY
    date_trunc('day', started_at), date_trunc('month', started_at),
    tenant_id, app, key_id, program, model, price_from
)
SELECT
  'lakehop' AS BillingAccountId,
  tenant_id AS SubAccountId,
  month_start AS BillingPeriodStart,
  month_start + INTERVAL '1' MONTH AS BillingPeriodEnd,
  day_start AS ChargePeriodStart,
  day_start + INTERVAL '1' DAY AS ChargePeriodEnd,
  'USD' AS BillingCurrency,
  usd AS BilledCost,
  usd AS EffectiveCost,
  usd AS ContractedCost,
  uncached_usd AS ListCost,
  'Usage' AS ChargeCategory,
  'Usage-Based' AS ChargeFrequency,
  program || ' calls ' || model AS ChargeDescription,
  'Lakehop' AS ServiceProviderName,
  'Model calls' AS ServiceName,
  'AI and Machine Learning' AS ServiceCategory,
  model AS ResourceId,
  'Model' AS ResourceType,
  model || '@' || price_from AS SkuPriceId,
  input_tokens + output_tokens AS ConsumedQuantity,
  'Tokens' AS ConsumedUnit,
  app AS x_App,
  key_id AS x_KeyId,
  program AS x_Program,
  calls AS x_Calls,
  input_tokens AS x_InputTokens,
  cached_tokens AS x_CachedTokens,
  output_tokens AS x_OutputTokens
FROM daily
""",
)

_NOT_YET = "NULL until its step has run."

INGEST_RUNS = View(
    "gold.ingest_runs",
    grain="one ingest run, its steps summed",
    columns=(
        Column("run_id", Type.STRING, "Airflow's run id."),
        Column("tenant_id", Type.STRING, "Tenant of the documents."),
        Column("source", Type.STRING, "Source that was read."),
        Column("steps", Type.LONG, "Finished steps."),
        Column("documents_seen", Type.LONG, f"Documents in the input, including refused documents; {_NOT_YET}", True),
        Column("documents_added", Type.LONG, f"New documents; {_NOT_YET}", True),
        Column("documents_changed", Type.LONG, f"Known documents that changed; {_NOT_YET}", True),
        Column("documents_unchanged", Type.LONG, f"Known documents that did not change; {_NOT_YET}", True),
        Column("documents_deleted", Type.LONG, f"Documents that were missing in a snapshot; {_NOT_YET}", True),
        Column("documents_quarantined", Type.LONG, f"Quarantined documents; {_NOT_YET}", True),
        Column("documents_skipped", Type.LONG, f"Files that are not documents, e.g. hidden files; {_NOT_YET}", True),
        Column("chunks_written", Type.LONG, f"Chunks added or changed; {_NOT_YET}", True),
        Column("chunks_deleted", Type.LONG, f"Chunks removed; {_NOT_YET}", True),
        Column("embedded", Type.LONG, f"Texts that were embedded; {_NOT_YET}", True),
        Column("started_at", Type.TIME, "Start of its first step."),
        Column("seconds", Type.DOUBLE, "Duration of all steps, seconds, without waiting between them."),
    ),
    sql="""
SELECT
  run_id,
  max(tenant_id) AS tenant_id,
  max(source) AS source,
  count(*) AS steps,
  CAST(sum(documents_seen) AS BIGINT) AS documents_seen,
  CAST(sum(documents_added) AS BIGINT) AS documents_added,
  CAST(sum(documents_changed) AS BIGINT) AS documents_changed,
  CAST(sum(documents_unchanged) AS BIGINT) AS documents_unchanged,
  CAST(sum(documents_deleted) AS BIGINT) AS documents_deleted,
  CAST(sum(documents_quarantined) AS BIGINT) AS documents_quarantined,
  CAST(sum(documents_skipped) AS BIGINT) AS documents_skipped,
  CAST(sum(chunks_written) AS BIGINT) AS chunks_written,
  CAST(sum(chunks_deleted) AS BIGINT) AS chunks_deleted,
  CAST(sum(embedded) AS BIGINT) AS embedded,
  min(started_at) AS started_at,
  sum(seconds) AS seconds
FROM ops.ingest_runs
GROUP BY run_id
""",
)

QUARANTINE_OPEN = View(
    "gold.quarantine_open",
    grain="one reason why documents of a tenant's source are in quarantine",
    columns=(
        Column("tenant_id", Type.STRING, "Tenant; `-` for call records that cannot be read."),
        Column("source", Type.STRING, "Source of the documents."),
        Column("reason", Type.STRING, "Reason up to its first colon, e.g. `invalid UTF-8`."),
        Column("things", Type.LONG, "Documents, lines and rows in quarantine for this reason."),
        Column("oldest_at", Type.TIME, "Earliest time of a refusal that is still open."),
    ),
    sql="""
SELECT
  tenant_id,
  source,
  split_part(regexp_replace(reason, '^(line|row) [0-9]+: ', ''), ':', 1) AS reason,
  count(*) AS things,
  min(quarantined_at) AS oldest_at
FROM bronze.quarantine
WHERE resolved_by IS NULL
GROUP BY tenant_id, source, split_part(regexp_replace(reason, '^(line|row) [0-9]+: ', ''), ':', 1)
""",
)

INGEST_REFUSALS = View(
    "gold.ingest_refusals",
    grain="one kind of refusal of one ingest run",
    columns=(
        Column("run_id", Type.STRING, "Airflow's run id. A later refusal of the same document counts for its own run."),
        Column("tenant_id", Type.STRING, "Tenant; `-` for call records that cannot be read."),
        Column("source", Type.STRING, "Source of the documents."),
        Column("kind", Type.STRING, "Reason without values and advice, e.g. `encrypted`."),
        Column("documents", Type.LONG, "Documents, lines and rows that the run refused for it."),
        Column("still_open", Type.LONG, "Those of them that no later run has taken in or found gone."),
        Column("example", Type.STRING, "One of their reasons in full, with what to do."),
        Column("refused_at", Type.TIME, "Time of the last refusal."),
    ),
    sql="""
SELECT
  ingest_run_id AS run_id,
  tenant_id,
  source,
  coalesce(kind, split_part(regexp_replace(reason, '^(line|row) [0-9]+: ', ''), ':', 1)) AS kind,
  count(*) AS documents,
  count(CASE WHEN resolved_by IS NULL THEN 1 END) AS still_open,
  min(reason) AS example,
  max(quarantined_at) AS refused_at
FROM bronze.quarantine
GROUP BY
  ingest_run_id, tenant_id, source,
  coalesce(kind, split_part(regexp_replace(reason, '^(line|row) [0-9]+: ', ''), ':', 1))
""",
)

VIEWS: tuple[View, ...] = (
    TASKS,
    COST_DAILY,
    COST_PER_SUCCESS,
    FOCUS_COSTS,
    INGEST_RUNS,
    INGEST_REFUSALS,
    QUARANTINE_OPEN,
)
