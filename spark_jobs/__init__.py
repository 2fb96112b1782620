"""Spark jobs: read Delta, transform, write Delta or Milvus. `main.py` is what spark-submit starts."""
