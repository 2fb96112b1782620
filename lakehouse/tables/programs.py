"""Tables of compiled agent programs: scores and live versions, and the loaded state."""

from lakehouse.tables.schema import TENANT, Column, Forget, Table, Type

_PROGRAM = Column("program", Type.STRING, "Program, e.g. `multihop`.")
_VERSION = Column("version", Type.STRING, "Hash of the tenant and the compiled program, e.g. `3fa2c9…`.")

AGENT_PROGRAMS = Table(
    "ops.agent_programs",
    grain="one compiled version of one tenant's program",
    key=("program", "version"),
    forget=Forget.TENANT,
    columns=(
        Column(
            "tenant_id",
            Type.STRING,
            "Tenant whose documents it quotes, and the only tenant that it answers; NULL in rows of "
            "releases without this "
            "column, which no gateway loads.",
            True,
        ),
        _PROGRAM,
        _VERSION,
        Column("optimizer", Type.STRING, "DSPy optimizer that compiled it, e.g. `bootstrap`."),
        Column("model", Type.STRING, "Model that it was compiled for, as the API names it."),
        Column("trained_on", Type.INT, "Number of questions that the optimizer saw."),
        Column("tested_on", Type.INT, "Number of other questions, which gave the scores."),
        Column(
            "score_before",
            Type.DOUBLE,
            "Share of the test questions that the program before answered correctly, 0 to 1.",
        ),
        Column("score_after", Type.DOUBLE, "The same share of this program."),
        Column(
            "usd_per_success_before",
            Type.MONEY,
            "Cost of all test questions divided by the correct answers, US dollars, of the program "
            "before; NULL without "
            "a correct answer.",
            True,
        ),
        Column(
            "usd_per_success_after", Type.MONEY, "The same cost of this program; NULL without a correct answer.", True
        ),
        Column("live", Type.BOOL, "True for the version that the gateway loads."),
        Column("why", Type.STRING, "Reason why it is live or not."),
        Column("created_at", Type.TIME, "Time of the compilation."),
    ),
)

COMPILED_PROGRAMS = Table(
    "silver.compiled_programs",
    grain="one compiled version of one tenant's program, in the form that the gateway loads",
    key=("tenant_id", "program", "version"),
    forget=Forget.MEMORY,
    written_by_services=True,
    columns=(
        TENANT,
        _PROGRAM,
        _VERSION,
        Column("state", Type.STRING, "Instructions and demonstrations as DSPy saves them, in JSON."),
        Column("sources", Type.STRINGS, "Source of each document that the state quotes."),
        Column(
            "doc_ids",
            Type.STRINGS,
            "Id of each document that the state quotes; forgetting one of them forgets the version.",
        ),
        Column("created_at", Type.TIME, "Time of the compilation."),
    ),
)
