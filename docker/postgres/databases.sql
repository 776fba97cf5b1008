-- Run once, on an empty volume. The catalog's database is POSTGRES_DB; Dagster's is beside it, since
-- both keep a table named alembic_version.
CREATE DATABASE dagster;
