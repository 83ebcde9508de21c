"""What shares a warehouse runs in one process, as `conftest.py` asks of pytest-xdist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TEST = "import os\nimport pytest\n@pytest.mark.parametrize('n', range(6))\ndef test(n, record): record(os.getpid())\n"
RECORD = """

@pytest.fixture
def record(request):
    return lambda process: print(process, file=open(request.path.with_suffix('.processes'), 'a'))
"""


def test_a_modules_tests_run_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8") + RECORD, encoding="utf-8")
    modules = [tmp_path / f"test_{name}.py" for name in "ab"]
    for module in modules:
        module.write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider"]
    subprocess.run([*command, str(tmp_path)], cwd=tmp_path, check=True, capture_output=True)
    assert [len(set(module.with_suffix(".processes").read_text().split())) for module in modules] == [1, 1]
