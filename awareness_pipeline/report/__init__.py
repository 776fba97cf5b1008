"""The report of one version: numbers for machines, and a page with plots for people.

    numbers     the ten stages and the evaluation, read from the records
    evidence    what the audit found, read from its record
    coverage    what the host announced against what was got, read from the catalog
    pace        how far, how fast, what failed and when done, by stage
    metrics     all numbers in Prometheus' text form
    measured    rates: of a version at hand, else as committed in results/
    estimate    what so many repositories will take, by these rates
    samples     prompts and training losses, read from the files
    plots       PNG pictures as data URIs
    html        pieces of pages
    prompts     the page of random prompts, accepted beside rejected
    page        one HTML file that needs nothing from outside

Nothing is run or measured here; a stage that has not run is shown as such. Matplotlib is loaded
only for the page.
"""

from awareness_pipeline.report.evidence import evidence_of
from awareness_pipeline.report.numbers import evaluation_of, summary

__all__ = ["evaluation_of", "evidence_of", "summary"]
