"""Alembic's entry point; everything it does is common to the services."""

from cairn.common.migrations import run_env

run_env()
