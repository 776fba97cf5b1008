"""Holding a name on a catalog against everybody else."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import UserError
from tests.pipeline.catalog.processes import Process
from tests.pipeline.catalog.rows import HOST
from tests.postgres import Server

HOLDING = """
with Catalog(url) as catalog, catalog.alone("discover") as held:
    say(held)
    hear()
"""


def test_a_name_is_held_once(catalog: Catalog, other: Catalog) -> None:
    with catalog.alone("discover") as first, other.alone("discover") as second:
        assert (first, second) == (True, False)
    with other.alone("discover") as third:
        assert third


def test_who_waits_has_the_name_when_the_holder_lets_go(catalog: Catalog, other: Catalog) -> None:
    with ThreadPoolExecutor(1) as pool, catalog.alone("discover"):
        waiting = pool.submit(_held, other)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.2)
    assert waiting.result() is True


def _held(catalog: Catalog) -> bool:
    with catalog.alone("discover", wait=True) as held:
        return held


def test_names_do_not_meet(catalog: Catalog) -> None:
    with catalog.alone("discover a") as first, catalog.alone("discover b") as second:
        assert first
        assert second


def test_who_is_refused_frees_nothing(catalog: Catalog, other: Catalog) -> None:
    with catalog.alone("discover") as first:
        assert first
        for _ in range(2):
            with other.alone("discover") as second:
                assert not second


def test_a_failure_inside_frees_the_name(catalog: Catalog, other: Catalog) -> None:
    with pytest.raises(KeyError), catalog.alone("discover"):
        raise KeyError("of the block")
    with other.alone("discover") as free:
        assert free


def test_the_catalog_can_be_used_while_a_name_is_held(catalog: Catalog) -> None:
    with catalog.alone("discover"):
        catalog.opt_out(HOST, "owner")
        assert len(catalog.opt_outs(HOST)) == 1


def test_another_process_is_refused_until_the_holder_goes_on(
    catalog: Catalog, catalog_url: str, processes: tuple[Process, ...]
) -> None:
    holder, later, _ = processes
    holder.start(catalog_url, HOLDING)
    assert holder.listen() is True
    later.start(catalog_url, HOLDING)
    assert later.listen() is False
    with catalog.alone("discover") as mine:
        assert not mine
    for one in (holder, later):
        one.tell()
        assert one.finish() == ["done"]
    with catalog.alone("discover") as mine:
        assert mine


def test_a_killed_holder_holds_nothing(catalog: Catalog, catalog_url: str, mortal: Process) -> None:
    mortal.start(catalog_url, HOLDING)
    assert mortal.listen() is True
    mortal.kill()
    # PostgreSQL hears of it when it next looks at the connection: at once, but not before we ask.
    for _ in range(500):
        with catalog.alone("discover") as free:
            if free:
                return
        time.sleep(0.02)
    pytest.fail("still held")


def ended_in_error(postgres: Server, url: str) -> None:
    postgres.end_sessions(url)
    raise KeyError("of the block")


def test_a_server_that_ends_the_session_does_not_hide_what_the_block_says(
    postgres: Server,
) -> None:
    with postgres.database("migrated") as url, Catalog(url) as catalog:
        with pytest.raises(KeyError), catalog.alone("discover"):
            ended_in_error(postgres, url)
        with catalog.alone("discover"):
            postgres.end_sessions(url)
        with catalog.alone("discover") as free:
            assert free


def test_a_server_that_is_gone_is_one_line(postgres: Server) -> None:
    with postgres.database("migrated") as url:
        catalog = Catalog(url)
    with (
        catalog,
        pytest.raises(UserError, match=r"cannot be used: .* does not exist"),
        catalog.alone("discover"),
    ):
        pass


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with Catalog(f"sqlite:///{tmp_path}/a/catalog.db") as catalog:
        (tmp_path / "a").rename(tmp_path / "b")
        with pytest.raises(UserError, match="catalog cannot be used"), catalog.alone("discover"):
            pass
