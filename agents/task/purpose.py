"""What the running code works for, carried in context variables: every record and step reads it from here."""

from contextvars import ContextVar

sub_task: ContextVar[str | None] = ContextVar("sub_task", default=None)
"""Id of the sub-task whose work is being done; None outside of one."""
