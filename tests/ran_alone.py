"""What commands import, in a process of their own."""

import json
import subprocess
import sys

__all__ = ["check_imports"]

_CODE = """
import json, shlex, sys
import ivimkit.cli
heavy, *commands = json.loads(sys.argv.pop())
for command in commands:
    try:
        ivimkit.cli.app(shlex.split(command))
    except SystemExit as end:
        assert not end.code, f"{command}: exit code {end.code}"
    found = set(heavy) & set(sys.modules)
    assert not found, f"{command} imports {found}"
"""


def check_imports(heavy: set[str], *commands: str) -> None:
    """Run commands one after the other in a new process; none may import what takes long."""
    given = json.dumps([sorted(heavy), *commands])
    done = subprocess.run([sys.executable, "-c", _CODE, given], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
