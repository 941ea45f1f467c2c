"""How hard the property tests look: ``HYPOTHESIS_PROFILE=deep`` looks longer, and elsewhere every time."""

import os

from hypothesis import settings

settings.register_profile("quick", max_examples=100, deadline=None, derandomize=True, database=None)
settings.register_profile("deep", max_examples=5_000, deadline=None, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
