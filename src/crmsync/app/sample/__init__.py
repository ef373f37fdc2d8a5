"""A made-up company's CRM export, to try everything on: the same for the same instant, always."""

from crmsync.app.sample.company import ZONE as SAMPLE_ZONE
from crmsync.app.sample.settings import sample_config
from crmsync.app.sample.write import write_sample

__all__ = ["SAMPLE_ZONE", "sample_config", "write_sample"]
