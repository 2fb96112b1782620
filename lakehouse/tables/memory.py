"""What was remembered for users, from one task to the next."""

from lakehouse.tables.schema import TENANT, Column, Forget, Table, Type

MEMORIES = Table(
    "silver.memories",
    grain="one thing remembered for one user of one app, as it was written last",
    key=("tenant_id", "memory_id"),
    partition_by=("tenant_id",),
    forget=Forget.MEMORY,
    written_by_services=True,
    columns=(
        TENANT,
        Column("memory_id", Type.STRING, "Id of the entry, e.g. `mem_9f2c…`."),
        Column("app", Type.STRING, "App of the API key: two apps may mean two people by one user id."),
        Column("user_id", Type.STRING, "Whose it is, as the app says."),
        Column("kind", Type.STRING, "`note`: the user's own words; `answer`: what a task answered."),
        Column("text", Type.STRING, "The note, or the answer."),
        Column("question", Type.STRING, "What was asked; NULL for a note.", True),
        Column("task_id", Type.STRING, "Task that answered; joins `silver.llm_calls`. NULL for a note.", True),
        Column(
            "chunk_ids",
            Type.STRINGS,
            "Chunks that an answer rests on: whoever may not read all of them now, as they are, does not see it. "
            "Empty for a note.",
        ),
        Column("sources", Type.STRINGS, "Source of each of those chunks."),
        Column("doc_ids", Type.STRINGS, "Document of each of those chunks; when one is forgotten, so is the entry."),
        Column("version", Type.INT, "How often it was written, from 1; who writes says which version was read."),
        Column("created_at", Type.TIME, "When it was written first."),
        Column("written_at", Type.TIME, "When it was written last."),
        Column("expires_at", Type.TIME, "From when on nobody sees it; the DAG `maintenance` then deletes it."),
    ),
)
