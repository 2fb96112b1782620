"""Tables of costs and quality: calls of models and tools, and evaluations."""

from lakehouse.tables.schema import TENANT, Column, Forget, Table, Type

LLM_CALLS_RAW = Table(
    "bronze.llm_calls",
    grain="one call record as a service spooled it; after a crash a record may be here twice",
    key=("call_id",),
    forget=Forget.BILL,
    columns=(
        Column("call_id", Type.STRING, "Id of the call."),
        Column("record", Type.STRING, "The record as JSON, unchanged."),
        Column("spool_file", Type.STRING, "Spool segment of the record, e.g. `file:///home/spool/sealed/9f2c.jsonl`."),
        Column("loaded_at", Type.TIME, "Time of loading."),
    ),
)

LLM_CALLS = Table(
    "silver.llm_calls",
    grain="one model call, tool call, search or finished task, exactly once",
    key=("call_id",),
    forget=Forget.BILL,
    columns=(
        Column("call_id", Type.STRING, "Id of the call."),
        Column("task_id", Type.STRING, "Task of the call."),
        Column(
            "operation",
            Type.STRING,
            "`chat` (a model call), `retrieval`, `execute_tool`, or `invoke_agent` for the finished "
            "task (OpenTelemetry's "
            "GenAI names).",
        ),
        Column("started_at", Type.TIME, "Start of the call."),
        Column("latency_ms", Type.DOUBLE, "Duration, milliseconds, e.g. 412.5."),
        TENANT,
        Column("user_id", Type.STRING, "User who asked, as the app names them; NULL when it names none.", True),
        Column("app", Type.STRING, "App of the API key."),
        Column("key_id", Type.STRING, "API key that pays for the call."),
        Column("program", Type.STRING, "Program that ran, e.g. `multihop`; `search` for a bare search."),
        Column("program_version", Type.STRING, "Version of the compiled program; `uncompiled` for none."),
        Column(
            "agent",
            Type.STRING,
            "Step of the program that made the call, e.g. `read`; for a tool call, the name of the tool.",
        ),
        Column(
            "hop",
            Type.INT,
            "Number of the hop of the call, from 1; 0: before the first hop or outside of hops.",
        ),
        Column(
            "sub_task",
            Type.STRING,
            "Sub-task of the plan, e.g. `which`; NULL outside of a sub-task.",
            True,
        ),
        Column("model", Type.STRING, "Model of the call; NULL unless it is a model call.", True),
        Column("input_tokens", Type.LONG, "Input tokens, with cached tokens; 0 without a model."),
        Column(
            "cached_tokens",
            Type.LONG,
            "Input tokens that the model server had cached; part of `input_tokens`.",
        ),
        Column("output_tokens", Type.LONG, "Output tokens of the model; 0 without a model."),
        Column("usd", Type.MONEY, "Cost, US dollars, e.g. 0.0000123400; 0 without a price."),
        Column("saved_usd", Type.MONEY, "Saving by caching against the uncached price, US dollars."),
        Column(
            "price_from",
            Type.STRING,
            "First day of the applied price, e.g. `2026-01-01`; NULL without a price.",
            True,
        ),
        Column("attempt", Type.INT, "Number of the attempt: 1 for the first, 2 for its first retry …"),
        Column("cache_hit", Type.BOOL, "True when the answer came from Lakehop's own cache."),
        Column(
            "outcome",
            Type.STRING,
            "`ok` or `error` for a call; a task's status for a task (`answered`, `partial`, …).",
        ),
        Column("error", Type.STRING, "Error, one line; NULL without an error.", True),
        Column("loaded_at", Type.TIME, "Time of loading into the lakehouse."),
        Column(
            "usage_source",
            Type.STRING,
            "Who counted the tokens: `server`; `counted`: we, by the model's tokenizer; `estimated`: we, a token for "
            "each byte of UTF-8, so never too few; NULL without an answering model, and in rows of earlier releases.",
            True,
        ),
    ),
)

EVAL_RUNS = Table(
    "gold.eval_runs",
    grain="one evaluation of one program on one set of questions",
    key=("run_id",),
    forget=Forget.TENANT,
    columns=(
        Column("run_id", Type.STRING, "Id of the evaluation."),
        TENANT,
        Column(
            "program", Type.STRING, "Evaluated program; `search` or `search_multihop` when only retrieval was measured."
        ),
        Column("questions", Type.STRING, "Name of the questions file."),
        Column("n", Type.INT, "Number of questions."),
        Column(
            "em",
            Type.DOUBLE,
            "Share of exact matches after normalisation, 0 to 1; NULL without gold answers.",
            True,
        ),
        Column("f1", Type.DOUBLE, "Mean token F1, 0 to 1; NULL without gold answers.", True),
        Column(
            "success",
            Type.DOUBLE,
            "Share of answers that hold a gold answer, 0 to 1; NULL without gold answers.",
            True,
        ),
        Column(
            "faithful",
            Type.DOUBLE,
            "Share of answers without an `uncited` sentence, 0 to 1; NULL without answers.",
            True,
        ),
        Column(
            "judged_faithful",
            Type.DOUBLE,
            "Share of judged answers whose citations support them according to a judge model, 0 to 1; "
            "NULL: none judged.",
            True,
        ),
        Column(
            "judge_agreement",
            Type.DOUBLE,
            "Share of judged answers where the judge agrees with `faithful`, 0 to 1; NULL: none judged.",
            True,
        ),
        Column(
            "not_judged",
            Type.INT,
            "Answers with citations that the judge got and did not judge; NULL: no judge was asked.",
            True,
        ),
        Column(
            "judge_usd", Type.MONEY, "Cost of judging, US dollars, not in `usd_total`; NULL: no judge was asked.", True
        ),
        Column(
            "declined",
            Type.DOUBLE,
            "Share of declined questions, 0 to 1; NULL in rows of releases without this column.",
            True,
        ),
        Column(
            "recall_at_2",
            Type.DOUBLE,
            "Mean share of gold documents in the first 2, 0 to 1; NULL without gold ids.",
            True,
        ),
        Column("recall_at_5", Type.DOUBLE, "The same share in the first 5; NULL without gold ids.", True),
        Column("usd_total", Type.MONEY, "Cost of all its tasks, US dollars."),
        Column("p50_s", Type.DOUBLE, "Median duration of a question, seconds."),
        Column("p95_s", Type.DOUBLE, "95th percentile of the duration of a question, seconds."),
        Column("started_at", Type.TIME, "Start of the evaluation."),
    ),
)

EVAL_RESULTS = Table(
    "gold.eval_results",
    grain="one question of one evaluation",
    key=("run_id", "question_id"),
    forget=Forget.EVAL_RUN,
    columns=(
        Column("run_id", Type.STRING, "Evaluation; joins `gold.eval_runs`."),
        Column("question_id", Type.STRING, "Id of the question in the questions file."),
        Column(
            "task_id",
            Type.STRING,
            "Task of the answer; joins `silver.llm_calls`. NULL when the question failed before a task began.",
            True,
        ),
        Column("answer", Type.STRING, "The answer; NULL when only retrieval was measured.", True),
        Column("status", Type.STRING, "Status of the task, e.g. `answered`."),
        Column("em", Type.BOOL, "Exact match after normalisation; NULL without a gold answer.", True),
        Column("f1", Type.DOUBLE, "Token F1; NULL without a gold answer.", True),
        Column(
            "success",
            Type.BOOL,
            "True when the answer holds a gold answer, or an unanswerable question was declined; NULL "
            "when neither is known.",
            True,
        ),
        Column(
            "faithful",
            Type.BOOL,
            "True when the answer has citations and no `uncited` sentence; NULL without an answer.",
            True,
        ),
        Column(
            "judged_faithful",
            Type.BOOL,
            "True when the citations support the answer according to a judge model; NULL: not judged, "
            "or no clear judgement.",
            True,
        ),
        Column(
            "judge_task_id",
            Type.STRING,
            "Task of the judgement; joins `silver.llm_calls`. NULL: not judged.",
            True,
        ),
        Column("judge_usd", Type.MONEY, "Cost of the judgement, US dollars, not in `usd`; NULL: not judged.", True),
        Column("recall_at_2", Type.DOUBLE, "Share of gold documents in the first 2; NULL without gold ids.", True),
        Column("recall_at_5", Type.DOUBLE, "The same share in the first 5; NULL without gold ids.", True),
        Column("usd", Type.MONEY, "Cost of the question, US dollars."),
        Column("seconds", Type.DOUBLE, "Duration, seconds."),
    ),
)
