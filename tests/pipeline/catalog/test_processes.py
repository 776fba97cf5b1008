"""What two processes do to one catalog at the same moment, and what a killed one leaves behind."""

from itertools import chain

from sqlalchemy import text

from awareness_pipeline.catalog import Catalog, Pass
from tests.pipeline.catalog.processes import Process, at_once
from tests.pipeline.catalog.rows import HOST, RANGE, repository

Processes = tuple[Process, ...]


def test_processes_that_open_a_new_database_give_one_schema(
    empty_url: str, processes: Processes
) -> None:
    code = "with Catalog(url) as catalog: catalog.upsert([repository(os.getpid())])"
    at_once(processes, empty_url, code)
    with Catalog(empty_url) as catalog:
        assert catalog.count(HOST) == len(processes)


def test_the_same_repositories_stored_at_once_are_one_row_each(
    catalog: Catalog, catalog_url: str, processes: Processes
) -> None:
    """Each new row is counted once, though every process brings all of them, in its own order."""
    code = """
with Catalog(url) as catalog:
    for batch in range(10):
        rows = [repository(number) for number in range(batch * 100, batch * 100 + 150)]
        say(catalog.upsert(rows if os.getpid() % 2 else rows[::-1]))
"""
    said = at_once(processes, catalog_url, code)
    assert catalog.count(HOST) == sum(sum(new) for new in said) == 1_050


def test_no_choice_is_lost_while_repositories_are_stored(
    catalog: Catalog, catalog_url: str, processes: Processes
) -> None:
    catalog.upsert(repository(number) for number in range(700))
    code = """
rows = [repository(number) for number in range(700)]
with Catalog(url) as catalog:
    for turn in range(4):
        catalog.upsert(rows[::-1])
        catalog.select(HOST, [row.repo_id for row in rows[:350]])
        catalog.enlist(row.repo_id for row in rows[690:])
        catalog.opt_out(HOST, f"owner/r{turn}")
"""
    at_once(processes, catalog_url, code)
    there = {row.repo_id for row in catalog.repositories(HOST)}
    assert len(there & catalog.selected(HOST)) == 350 + 10 - 4
    assert {one.external_id for one in catalog.opt_outs(HOST)} == {"0", "1", "2", "3"}


def test_attempts_of_several_processes_are_all_counted(
    catalog: Catalog, catalog_url: str, processes: Processes
) -> None:
    catalog.upsert([repository(1)])
    code = """
with Catalog(url) as catalog:
    for _ in range(20):
        catalog.note("v", "clone", repository(1).repo_id, "refused")
"""
    at_once(processes, catalog_url, code)
    assert catalog.progress("v") == {"clone": {"failed": 1}}
    with catalog._engine.connect() as connection:
        assert connection.execute(text("SELECT attempts FROM stage_progress")).scalar_one() == 60


def test_slots_of_several_processes_never_meet(
    catalog: Catalog, catalog_url: str, processes: Processes
) -> None:
    code = """
with Catalog(url) as catalog:
    for _ in range(15):
        say(catalog.searches(HOST).reserve(2.5, 1_000.0))
"""
    said = at_once(processes, catalog_url, code)
    assert sorted(chain(*said)) == [2.5 * number for number in range(45)]


def test_a_range_is_split_once(catalog: Catalog, catalog_url: str, processes: Processes) -> None:
    catalog.searches(HOST).add([RANGE])
    code = """
with Catalog(url) as catalog:
    searches, top = catalog.searches(HOST), RANGE
    for middle in range(30, 330, 10):
        upper = replace(top, stars_min=middle)
        try:
            searches.split(top, [upper, replace(top, stars_max=middle - 1)])
            say(middle)
        except LookupError:
            pass
        top = upper
"""
    said = at_once(processes, catalog_url, code)
    assert sorted(chain(*said)) == list(range(30, 330, 10))
    ranges = catalog.searches(HOST).ranges("Nim")
    assert [one.stars_min for one in ranges] == [20, *range(30, 330, 10)]
    assert [one.stars_max for one in ranges] == [*range(29, 329, 10), -1]


def test_a_pass_begun_twice_has_its_ranges_once(
    catalog: Catalog, catalog_url: str, processes: Processes
) -> None:
    code = """
with Catalog(url) as catalog:
    searches = catalog.searches(HOST)
    for _ in range(10):
        searches.begin(Pass("Nim", "full"), [RANGE])
        searches.add([RANGE, replace(RANGE, language="D")])
"""
    at_once(processes, catalog_url, code)
    assert [one.language for one in catalog.searches(HOST).ranges()] == ["D", "Nim"]


def test_calls_of_several_processes_are_all_counted(
    catalog: Catalog, catalog_url: str, processes: Processes
) -> None:
    code = """
with Catalog(url) as catalog:
    for _ in range(20):
        catalog.searches(HOST).asked("Nim", 1, "2026-01-01T00:00:00Z")
"""
    searches = catalog.searches(HOST)
    searches.begin(Pass("Nim", "full"), [])
    at_once(processes, catalog_url, code)
    assert searches.passes()["Nim"].calls == 60


def test_a_round_is_opened_once(catalog: Catalog, catalog_url: str, processes: Processes) -> None:
    code = "with Catalog(url) as catalog: say(catalog.searches(HOST).open_round('refresh', NOON))"
    for _ in range(5):
        ((one,), (two,), (three,)) = at_once(processes, catalog_url, code)
        assert one == two == three


def test_a_writer_killed_in_its_transaction_leaves_nothing_behind(
    catalog: Catalog, catalog_url: str, mortal: Process
) -> None:
    code = """
def some():
    yield RANGE
    say("half way")
    hear()
with Catalog(url) as catalog:
    catalog.searches(HOST).begin(Pass("Nim", "full"), some())
"""
    mortal.start(catalog_url, code)
    assert mortal.listen() == "half way"
    mortal.kill()
    searches = catalog.searches(HOST)
    assert searches.ranges() == []
    assert searches.passes() == {}
    # Nothing that it held is in anybody's way.
    searches.add([RANGE])
    assert searches.ranges() == [RANGE]
