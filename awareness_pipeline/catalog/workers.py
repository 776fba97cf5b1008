"""One worker at a time at a partition: a lock file where the files are a folder, and where they are
a bucket, a lock of the catalog, which workers on all machines ask.

Either goes with its holder, however that ends. A bucket wants PostgreSQL: with a catalog of its own
each worker would know other repositories, and remove the rest. Limits: PostgreSQL learns of a
machine that lost its power after some minutes; a lock that a restart of PostgreSQL ended is not
missed by its holder. Two at one partition would do work twice and damage nothing for good: what
one removes under the other is seen by the next run, and made again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from awareness_pipeline.catalog.store import Catalog
from awareness_pipeline.config import Settings, UserError
from awareness_pipeline.locks import hold


def require_shared(settings: Settings) -> None:
    """Raise UserError where there is a store without a catalog that all workers share."""
    if settings.paths.store and not settings.paths.database_url.startswith("postgres"):
        raise UserError(
            "AWARENESS_STORE wants a catalog that all workers share: set AWARENESS_DB_PATH to "
            "postgresql://USER@HOST/DATABASE"
        )


@contextmanager
def turn(settings: Settings, name: str, file: Path, *, wait: bool) -> Iterator[bool]:
    """Hold what is called `name` in a version; `file` is the lock where there is no store.

    Gives False where another holds it, unless it is to `wait` for that one's end.
    """
    if not settings.paths.store:
        with hold(file, wait=wait) as held:
            yield held
        return
    with (
        Catalog(settings.paths.database_url) as catalog,
        catalog.alone(f"{settings.paths.store} {settings.version} {name}", wait=wait) as held,
    ):
        yield held
