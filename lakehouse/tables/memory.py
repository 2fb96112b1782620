"""Memories of users, kept from one task to the next."""

from lakehouse.tables.schema import TENANT, Column, Forget, Table, Type

MEMORIES = Table(
    "silver.memories",
    grain="one memory of one user of one app, in its last version",
    key=("tenant_id", "memory_id"),
    partition_by=("tenant_id",),
    forget=Forget.MEMORY,
    written_by_services=True,
    columns=(
        TENANT,
        Column("memory_id", Type.STRING, "Id of the memory, e.g. `mem_9f2c…`."),
        Column("app", Type.STRING, "App of the API key: one user id may mean two people in two apps."),
        Column("user_id", Type.STRING, "User of the memory, as the app names them."),
        Column("kind", Type.STRING, "`note`: the user's own words; `answer`: what a task answered."),
        Column("text", Type.STRING, "The note, or the answer."),
        Column("question", Type.STRING, "The question of an answer; NULL for a note.", True),
        Column("task_id", Type.STRING, "Task that answered; joins `silver.llm_calls`. NULL for a note.", True),
        Column(
            "chunk_ids",
            Type.STRINGS,
            "Chunks that an answer cites. A user sees it only while they may read all of these chunks in their current "
            "version. Empty for a note.",
        ),
        Column("sources", Type.STRINGS, "Source of each chunk in `chunk_ids`."),
        Column(
            "doc_ids", Type.STRINGS, "Document of each chunk in `chunk_ids`; forgetting one of them forgets the memory."
        ),
        Column("version", Type.INT, "Version, from 1; a writer must name the version that it read."),
        Column("created_at", Type.TIME, "Time of the first version."),
        Column("written_at", Type.TIME, "Time of this version."),
        Column(
            "expires_at",
            Type.TIME,
            "End of its life: from then on nobody sees it, and the DAG `maintenance` deletes it.",
        ),
    ),
)
