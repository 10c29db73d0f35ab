"""Pipes whose reader has gone, and closed streams: a program goes on, and writes no traceback."""

import subprocess
import sys

import pytest

BEGIN = "import sys, logging; from audiotok.run.streams import keep_streams; keep_streams(); "


def shell(code, how, **environment):
    """Run Python code in a shell, `how` being that line with {} for the command."""
    command = f"{sys.executable} -c '{BEGIN}{code}'"
    line = how.format(command)
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    "write",
    [
        'print("a line of some length", i)',
        'logging.getLogger().error("a line of some length")',
        'sys.stderr.write("a line of some length")',
    ],
)
def test_a_program_whose_reader_has_gone_goes_on_to_its_end(write, tmp_path):
    code = (
        f'logging.basicConfig(stream=sys.stdout)\nfor i in range(20000): {write}\nopen("{tmp_path}/end", "w")'
    )
    ended = shell(code, "{} 2>&1 | head -1; exit ${{PIPESTATUS[0]}}")
    assert (tmp_path / "end").exists(), ended.stderr
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_program_with_closed_streams_goes_on_to_its_end(closed, tmp_path):
    code = (
        'print("a"); sys.stderr.write("b"); sys.stdout.flush(); sys.stdin.read()\n'
        f'open("{tmp_path}/end", "w").write("c")'
    )
    ended = shell(code, f"{{}} {closed}" + ("" if "<" in closed else " < /dev/null"))
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "end").read_text() == "c"


def test_characters_that_a_terminal_lacks_are_escaped():
    ended = shell('print("\\u00b1 \\u2716")', "PYTHONIOENCODING=latin-1 {} | iconv -f latin1 -t utf8")
    assert ended.stdout == "± \\u2716\n"
