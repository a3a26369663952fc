"""Embedded PostgreSQL, and databases and roles on it or on a server that is given."""

from cairn.provision.postgres.cluster import BusDatabase, Cluster, PostgresError, ServiceDatabase
from cairn.provision.postgres.server import EmbeddedPostgres, destroy, running_in, temporary_postgres

__all__ = [
    "BusDatabase",
    "Cluster",
    "EmbeddedPostgres",
    "PostgresError",
    "ServiceDatabase",
    "destroy",
    "running_in",
    "temporary_postgres",
]
