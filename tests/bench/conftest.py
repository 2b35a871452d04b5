"""The fixtures of the integration tests, and their way to tell of skipped tests, for those here."""
import importlib.util
import sys
from pathlib import Path

INTEGRATION = Path(__file__).resolve().parents[1] / "integration"

sys.path.insert(0, str(INTEGRATION))  # for its harness
_spec = importlib.util.spec_from_file_location("integration_conftest", INTEGRATION / "conftest.py")
_conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_conftest)
globals().update({name: value for name, value in vars(_conftest).items() if name[0] != "_"})
