"""What looks for leaks in the other tests finds one: LeakSanitizer in the AddressSanitizer build, and
Valgrind, which scripts/test.sh --valgrind runs tallyd by. That they find nothing elsewhere then means
something."""
import subprocess
from pathlib import Path

import pytest
from harness.env import BUILD, MEMCHECK, have, program
from harness.tallyd import Tallyd

ADDRESS = "SANITIZE:STRING=address" in (Path(BUILD) / "CMakeCache.txt").read_text()
RUN_BY = [] if ADDRESS else MEMCHECK


def run_leaky(directory, *arguments):
    """leaky as the harness runs tallyd; returns a Tallyd whose process that was."""
    if RUN_BY and not have("valgrind"):
        pytest.skip("valgrind is not installed")
    stand_in = Tallyd(directory, redis_port=1)
    with open(stand_in.log_path, "ab") as log:
        stand_in.process = subprocess.Popen(
            [*RUN_BY, program("leaky"), *arguments], stdout=log, stderr=log, env=stand_in.environment
        )
    stand_in.wait()
    return stand_in


def test_a_program_without_a_fault_passes(tmp_path):
    good = run_leaky(tmp_path)
    assert good.process.returncode == 0, good.log()
    good.close()


def test_a_leak_at_exit_fails_the_test(tmp_path):
    leaky = run_leaky(tmp_path, "leak")
    assert leaky.process.returncode != 0
    assert "4,321 bytes" in leaky.log() or "4321 byte" in leaky.log()
    with pytest.raises(AssertionError, match="sanitizer report"):
        leaky.close()


@pytest.mark.skipif(ADDRESS, reason="AddressSanitizer does not see that; Valgrind does")
def test_reading_what_nobody_wrote_fails_the_test(tmp_path):
    unset = run_leaky(tmp_path, "unset")
    assert unset.process.returncode == 99
    with pytest.raises(AssertionError, match="sanitizer report"):
        unset.close()
