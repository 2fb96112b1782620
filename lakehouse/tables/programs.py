"""Compiled agent programs: which are live and why, and what is loaded."""

from lakehouse.tables.schema import TENANT, Column, Forget, Table, Type

_PROGRAM = Column("program", Type.STRING, "Program, e.g. `multihop`.")
_VERSION = Column("version", Type.STRING, "Hash of the tenant and the compiled program.")

AGENT_PROGRAMS = Table(
    "ops.agent_programs",
    grain="one compiled version of one tenant's program",
    key=("program", "version"),
    forget=Forget.TENANT,
    columns=(
        Column(
            "tenant_id",
            Type.STRING,
            "Whose documents it quotes, and whom alone it answers; NULL for versions from before they had a tenant, "
            "which nobody loads.",
            True,
        ),
        _PROGRAM,
        _VERSION,
        Column("optimizer", Type.STRING, "DSPy optimizer that compiled it."),
        Column("model", Type.STRING, "Model that it was compiled for."),
        Column("trained_on", Type.INT, "Questions that the optimizer saw."),
        Column("tested_on", Type.INT, "Other questions that gave the scores."),
        Column("score_before", Type.DOUBLE, "Share of the test questions answered rightly before, 0 to 1."),
        Column("score_after", Type.DOUBLE, "The same after."),
        Column(
            "usd_per_success_before",
            Type.MONEY,
            "US dollars of all test questions a right answer, before; NULL where none was right.",
            True,
        ),
        Column("usd_per_success_after", Type.MONEY, "The same after; NULL where none was right.", True),
        Column("live", Type.BOOL, "True for the version that the gateway loads."),
        Column("why", Type.STRING, "Why it is live or not."),
        Column("created_at", Type.TIME, "When it was compiled."),
    ),
)

COMPILED_PROGRAMS = Table(
    "silver.compiled_programs",
    grain="one compiled version of one tenant's program, as it is loaded",
    key=("tenant_id", "program", "version"),
    forget=Forget.MEMORY,
    written_by_services=True,
    columns=(
        TENANT,
        _PROGRAM,
        _VERSION,
        Column("state", Type.STRING, "Instructions and demonstrations as DSPy saves them, in JSON."),
        Column("sources", Type.STRINGS, "Source of each document that these quote."),
        Column("doc_ids", Type.STRINGS, "Id of each of those documents; when one is forgotten, so is the version."),
        Column("created_at", Type.TIME, "When it was compiled."),
    ),
)
