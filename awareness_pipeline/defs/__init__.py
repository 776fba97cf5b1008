"""The only Dagster code: it shows the flow, starts it and looks at what it left.

    partitions   languages and shards as Dagster sees them, and which depend on which
    assets       one asset per artifact; each body calls `flow.run_step` and reports the record
    reports      a record as metadata: counts, tables, plots, links
    discovery    beside it, what was asked of the host: calls, expected against got, stars, tiers
    columns      what a row of each asset holds, read off the row classes
    checks/      what must hold of the files an asset left
    jobs         discover, build, learn
    schedules    refresh, refresh_incremental, liveness; all off until someone turns them on
    automation   what follows by itself and when, freshness, failures; one switch, off at first
    bounds       that switch, the hours, and how much may start alone (no Dagster)
    notice       a line to a webhook (no Dagster)
    demo         `make demo`: the three jobs in this process, on the instance that `make ui` shows

Nothing is computed here: take the package away and `awareness full` gives the same files. No module
has `from __future__ import annotations`: it breaks `context: dg.AssetExecutionContext`.
"""
