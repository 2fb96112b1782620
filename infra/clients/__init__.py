"""Clients of Airflow and the gateway."""
