"""Loaded before Django reads its settings (`-p tests.environment`): a folder and a key for this test run alone."""

import os
import tempfile

os.environ.setdefault("VAR_DIR", tempfile.mkdtemp(prefix="webim-offline-tests-"))
os.environ.setdefault("SECRET_KEY", "a secret key for tests only, long enough to be taken for a real one")
