"""Columns are those of the rows that are written, with the meanings that the code gives them."""

import dataclasses

import dagster as dg
import pytest

from awareness_model.schema import TRACE_COLUMNS, SnapshotRow
from awareness_pipeline import config, flow
from awareness_pipeline.defs.columns import ROWS, columns_of
from awareness_pipeline.defs.location import location


@pytest.mark.parametrize("step", flow.FLOW, ids=lambda step: step.artifact)
def test_every_asset_shows_columns_and_where_its_files_are(step: flow.Step) -> None:
    settings = config.load("demo", {})
    node = location(settings).resolve_asset_graph().get(dg.AssetKey(step.artifact))
    shown = node.metadata["dagster/column_schema"]
    assert shown == columns_of(step.artifact)
    assert [column.name for column in shown.columns if not column.description] == []
    assert str(node.metadata["files of all versions"].value).endswith(f"/data/{step.artifact}")


@pytest.mark.parametrize(
    ("artifact", "row"),
    [*((name, row) for name, (_, row) in ROWS.items()), ("memory_shards", SnapshotRow)],
)
def test_columns_are_the_fields_of_the_row(artifact: str, row: type) -> None:
    names = [column.name for column in columns_of(artifact).columns]
    assert names == [item.name for item in dataclasses.fields(row)]


def test_traces_have_the_columns_of_their_file_and_what_is_said_of_them() -> None:
    shown = {column.name: column for column in columns_of("teacher_traces").columns}
    assert {name: column.type for name, column in shown.items()} == TRACE_COLUMNS
    assert (shown["parent_sha"].description or "").startswith("the tree that decides the answer")
    assert (shown["hops"].description or "").endswith("0 for a span.")


def test_types_are_short() -> None:
    shown = {column.name: column.type for column in columns_of("curated_commits").columns}
    assert (shown["keep"], shown["findings"]) == ("bool", "tuple[Finding, ...]")
    shown = {column.name: column.type for column in columns_of("repositories").columns}
    assert shown["licence"] == "str | None"


def test_meanings_are_the_strings_below_the_attributes() -> None:
    said = {column.name: column.description for column in columns_of("repositories").columns}
    assert said["licence"] == "SPDX identifier, or None where the host names none."
    assert said["stars"] == "stars when last seen"


def test_stored_text_is_not_said_to_be_cleaned_as_an_export_is() -> None:
    shown = [column for step in flow.FLOW for column in columns_of(step.artifact).columns]
    assert [one.name for one in shown if "replaced" in (one.description or "")] == []
