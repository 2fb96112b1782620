"""Airflow DAGs: when which Spark job runs, with what parameters. Nothing is computed here."""
