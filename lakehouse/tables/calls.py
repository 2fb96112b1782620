"""What answering cost, and how good it was: every call of a model or a tool, every evaluation."""

from lakehouse.tables.schema import TENANT, Column, Forget, Table, Type

LLM_CALLS_RAW = Table(
    "bronze.llm_calls",
    grain="one call record as a service spooled it; a record can be here twice after a crash",
    key=("call_id",),
    forget=Forget.BILL,
    columns=(
        Column("call_id", Type.STRING, "Id of the call."),
        Column("record", Type.STRING, "The record as JSON, unaltered."),
        Column("spool_file", Type.STRING, "Spool segment that it came in."),
        Column("loaded_at", Type.TIME, "When it was loaded."),
    ),
)

LLM_CALLS = Table(
    "silver.llm_calls",
    grain="one model call, tool call, search or finished task, exactly once",
    key=("call_id",),
    forget=Forget.BILL,
    columns=(
        Column("call_id", Type.STRING, "Id of the call."),
        Column("task_id", Type.STRING, "Task that it served."),
        Column(
            "operation",
            Type.STRING,
            "`chat` (a model call), `retrieval`, `execute_tool`, or `invoke_agent`: the task "
            "itself, once it ended (OpenTelemetry's GenAI names).",
        ),
        Column("started_at", Type.TIME, "When it began."),
        Column("latency_ms", Type.DOUBLE, "How long it took, milliseconds."),
        TENANT,
        Column("user_id", Type.STRING, "Who asked, as the app says; NULL when it does not say.", True),
        Column("app", Type.STRING, "App of the API key."),
        Column("key_id", Type.STRING, "API key that it was charged to."),
        Column("program", Type.STRING, "Program that ran, e.g. `multihop`; `search` for a bare search."),
        Column("program_version", Type.STRING, "Version of the compiled program; `uncompiled` for none."),
        Column(
            "agent",
            Type.STRING,
            "Step of the program that made the call, e.g. `read`; the tool's name for a tool.",
        ),
        Column(
            "hop",
            Type.INT,
            "Which search of the task it belongs to, from 1; 0: before the first or outside any.",
        ),
        Column(
            "sub_task",
            Type.STRING,
            "Sub-task of the task's plan that it belongs to, e.g. `which`; NULL outside of one.",
            True,
        ),
        Column("model", Type.STRING, "Model called; NULL for anything but a model call.", True),
        Column("input_tokens", Type.LONG, "Prompt tokens, cached ones included; 0 where there is no model."),
        Column(
            "cached_tokens",
            Type.LONG,
            "Prompt tokens that the model server had cached; part of `input_tokens`.",
        ),
        Column("output_tokens", Type.LONG, "Tokens that the model wrote."),
        Column("usd", Type.MONEY, "What it cost, US dollars, e.g. 0.0000123400; 0 for what has no price."),
        Column("saved_usd", Type.MONEY, "What caching saved against the uncached price, US dollars."),
        Column(
            "price_from",
            Type.STRING,
            "Effective date of the price used, e.g. `2026-01-01`; NULL where none applies.",
            True,
        ),
        Column("attempt", Type.INT, "1 for the first try, 2 for its first retry …"),
        Column("cache_hit", Type.BOOL, "True when an answer of our own cache was used."),
        Column(
            "outcome",
            Type.STRING,
            "`ok` or `error` for a call; a task's status for a task (`answered`, `partial`, …).",
        ),
        Column("error", Type.STRING, "What went wrong, one line; NULL when nothing did.", True),
        Column("loaded_at", Type.TIME, "When the row entered the lakehouse."),
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
            "program", Type.STRING, "Program asked; `search` or `search_multihop` when only retrieval was measured."
        ),
        Column("questions", Type.STRING, "Name of the questions file."),
        Column("n", Type.INT, "Questions asked."),
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
            "Share of given answers of which no sentence is `uncited`: what they cite carries them; NULL without any.",
            True,
        ),
        Column(
            "judged_faithful",
            Type.DOUBLE,
            "Share of judged answers of which a judge model said that what they cite says so; NULL: none was judged.",
            True,
        ),
        Column(
            "judge_agreement",
            Type.DOUBLE,
            "Share of judged answers for which judge and `faithful` say the same; NULL: none was judged.",
            True,
        ),
        Column(
            "not_judged",
            Type.INT,
            "Cited answers that the judge was given and did not judge; NULL: it was not asked.",
            True,
        ),
        Column("judge_usd", Type.MONEY, "What judging cost, not in `usd_total`; NULL: no judge was asked.", True),
        Column("declined", Type.DOUBLE, "Share of questions that were declined, 0 to 1; NULL in old rows.", True),
        Column(
            "recall_at_2",
            Type.DOUBLE,
            "Mean share of gold documents in the first 2; NULL without gold ids.",
            True,
        ),
        Column("recall_at_5", Type.DOUBLE, "The same in the first 5.", True),
        Column("usd_total", Type.MONEY, "What all its tasks cost, US dollars."),
        Column("p50_s", Type.DOUBLE, "Median seconds of a question."),
        Column("p95_s", Type.DOUBLE, "95th percentile."),
        Column("started_at", Type.TIME, "When it began."),
    ),
)

EVAL_RESULTS = Table(
    "gold.eval_results",
    grain="one question of one evaluation",
    key=("run_id", "question_id"),
    forget=Forget.EVAL_RUN,
    columns=(
        Column("run_id", Type.STRING, "Evaluation that asked it."),
        Column("question_id", Type.STRING, "Its id in the questions file."),
        Column(
            "task_id",
            Type.STRING,
            "Task that answered it; joins `silver.llm_calls`. NULL when it failed first.",
            True,
        ),
        Column("answer", Type.STRING, "Answer given; NULL when only retrieval was measured.", True),
        Column("status", Type.STRING, "The task's status."),
        Column("em", Type.BOOL, "Exact match after normalisation; NULL without a gold answer.", True),
        Column("f1", Type.DOUBLE, "Token F1; NULL without a gold answer.", True),
        Column(
            "success",
            Type.BOOL,
            "The answer holds a gold answer, or an unanswerable question was declined; NULL where neither is known.",
            True,
        ),
        Column(
            "faithful",
            Type.BOOL,
            "The answer cites something, and no sentence of it is `uncited`; NULL without an answer.",
            True,
        ),
        Column(
            "judged_faithful",
            Type.BOOL,
            "A judge model said that what the answer cites says so; NULL: it was not asked, or said neither.",
            True,
        ),
        Column(
            "judge_task_id",
            Type.STRING,
            "Task that judged it; joins `silver.llm_calls`. NULL: it was not judged.",
            True,
        ),
        Column("judge_usd", Type.MONEY, "What judging it cost, not in `usd`; NULL: it was not judged.", True),
        Column("recall_at_2", Type.DOUBLE, "Share of gold documents in the first 2; NULL without gold ids.", True),
        Column("recall_at_5", Type.DOUBLE, "The same in the first 5.", True),
        Column("usd", Type.MONEY, "What it cost, US dollars."),
        Column("seconds", Type.DOUBLE, "How long it took."),
    ),
)
