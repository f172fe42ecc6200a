"""Every snippet of the README and of docs/ does what it says.

console: run in one shell per document, in a folder with a copy of examples/ and docs/; what is
    shown below a command is compared, `...` stands for anything. A command must succeed, unless
    the next one is `echo $?`, but it may take some tries while something runs in the background.
    What is shown below a command that ends in & may be printed at any later time.
python: run there too; `path` is the final file of a small run, unless the snippet says otherwise.
toml: a whole file begins with its name as a comment and is kept there; a part replaces the
    sections of that name in an example. Both are checked.
sh: the set-up, which CI runs as it stands. powershell: for Windows, marked untested.
"""

import doctest
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from acquisition.configuration.station_file import StationConfig
from acquisition.planning.check import check

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"console", "python", "toml", "sh", "powershell", "text"}
SWEEP, STATION = "field_polarization_map.toml", "station_simulated.toml"
GRID = """
[[axis]]
quantity = "temperature"
unit = "K"
points = [5.5, 10]

[[axis]]
quantity = "polarization"
unit = "deg"
points = "0..90 step 45"
repeat_first = false

[exposure]
time = "1 s"
frames = 2
"""
TRIES = 30
LOOSE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True, slots=True)
class Snippet:
    """One fenced block; line: where it begins."""

    language: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed, and what is shown below it."""

    typed: str
    shown: str


def snippets(document: Path) -> list[Snippet]:
    text = document.read_text(encoding="utf-8")
    return [
        Snippet(match[2], dedent(match[3]), text.count("\n", 0, match.start()) + 1)
        for match in FENCE.finditer(text)
    ]


def commands(console: str) -> list[Command]:
    """Cut a console snippet at its prompts; `> ` goes on with the line above."""
    blocks = re.split(r"^\$ ", console, flags=re.MULTILINE)
    assert blocks[0] == "", f"a console snippet begins with a prompt, not with {blocks[0]!r}"
    return [_command(block) for block in blocks[1:]]


def _command(block: str) -> Command:
    first, *lines = block.rstrip("\n").split("\n")
    more = [line for line in lines if line.startswith("> ")]
    typed = "\n".join([first, *(line.removeprefix("> ") for line in more)])
    return Command(typed, "\n".join(lines[len(more) :]))


class Shell:
    """One bash for a whole document, so that variables and background jobs live on."""

    def __init__(self, folder: Path) -> None:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "COLUMNS": "100",
            "TERM": "dumb",
            "NO_COLOR": "1",
        }
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._printed = folder / ".printed"
        self.background = ""  # what jobs in the background have printed
        self.run("set -m")  # jobs have numbers, and take Ctrl-C

    def run(self, typed: str) -> tuple[str, int]:
        """Return what the command printed and its exit code, which the next one sees as $?."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._printed.write_text("")
        to = "" if typed.endswith("&") else f">'{self._printed}' 2>&1"
        end = 'status=$?; echo; echo "END OF COMMAND $status"; (exit $status)'
        self._bash.stdin.write(f"{{ {typed}\n}} </dev/null {to}\n{end}\n")
        self._bash.stdin.flush()
        for line in iter(self._bash.stdout.readline, ""):
            if line.startswith("END OF COMMAND "):
                return self._printed.read_text(encoding="utf-8"), int(line.split()[-1])
            self.background += line
        raise AssertionError(f"the shell ended at {typed}: {self.background}")

    def close(self) -> None:
        """End what still runs in the background, and the shell."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write("\nkill $(jobs -p) 2>/dev/null; wait; exit\n")
        self._bash.stdin.close()
        self._bash.wait()
        self._bash.stdout.close()


@contextmanager
def _shell(folder: Path) -> Iterator[Shell]:
    shell = Shell(folder)
    try:
        yield shell
    finally:
        shell.close()


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The final file of two temperatures and three angles, simulated, without fits."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copy(ROOT / "examples" / STATION, folder)
    sweep = (ROOT / "examples" / "polarization.toml").read_text(encoding="utf-8")
    (folder / "sweep.toml").write_text(with_sections(sweep, GRID), encoding="utf-8")
    command = [f"{Path(sys.executable).parent}/cryoscan", "run", "sweep.toml", "--no-fit", "--json"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return folder / str(json.loads(ran.stdout)["final"])


def run_document(document: Path, folder: Path, finished: Path) -> None:
    """Do everything the document says, from top to bottom. Raises AssertionError."""
    for part in ("examples", "docs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("runs"))
    awaited: list[str] = []
    with _shell(folder) as shell:
        for snippet in snippets(document):
            where = f"{document.name}, line {snippet.line}"
            if snippet.language == "console":
                awaited += _run_console(shell, commands(snippet.text), where)
            elif snippet.language == "python":
                _run_python(shell, f"path = {str(finished)!r}\n{snippet.text}", where)
            elif snippet.language == "toml":
                _check_toml(snippet.text, folder, where)
    for shown in awaited:
        _assert_shown(f"...{shown}...", shell.background, document.name)


def _run_console(shell: Shell, typed: list[Command], where: str) -> list[str]:
    """Run the commands; return what is shown below those that go on in the background."""
    awaited = []
    follows = [*(command.typed for command in typed[1:]), ""]
    for command, following in zip(typed, follows, strict=True):
        printed, status = _run_patiently(shell, command.typed, may_fail=following == "echo $?")
        assert status == 0 or following == "echo $?", f"{where}: {command.typed}\n{printed}"
        if command.typed.endswith("&"):
            awaited.append(command.shown)
        elif command.shown:
            _assert_shown(command.shown, printed, f"{where}: {command.typed}")
    return awaited


def _assert_shown(shown: str, printed: str, where: str) -> None:
    fits = doctest.OutputChecker().check_output(shown, printed, LOOSE)
    assert fits, f"{where}\nprinted\n{printed}\nnot\n{shown}"


def _run_patiently(shell: Shell, typed: str, *, may_fail: bool) -> tuple[str, int]:
    for _ in range(TRIES):
        printed, status = shell.run(typed)
        if status == 0 or may_fail or not shell.run("jobs -r")[0]:
            break
        shell.run("sleep 1")
    return printed, status


def _run_python(shell: Shell, source: str, where: str) -> None:
    printed, status = shell.run(f"python -W error - <<'END OF SNIPPET'\n{source}END OF SNIPPET")
    assert status == 0, f"{where}: {printed}"


def _check_toml(text: str, folder: Path, where: str) -> None:
    assert tomllib.loads(text), f"{where}: says nothing"
    examples = folder / "examples"
    name = re.match(r"# (\S+\.toml)\n", text)
    path = folder / name[1] if name else examples / "with_snippet.toml"
    base = "" if name else (examples / (STATION if _is_station(text) else SWEEP)).read_text()
    path.write_text(with_sections(base, text), encoding="utf-8")
    if _is_station(text):
        check(_sweep_for(path), path)
    else:
        check(path, examples / STATION)


def _sweep_for(station: Path) -> Path:
    """Write a sweep beside the station file that uses the first of its gratings."""
    spectrograph = tomllib.loads(station.read_text(encoding="utf-8"))["spectrograph"]
    sweep = (station.parent / "polarization.toml").read_text(encoding="utf-8")
    path = station.parent / "sweep_of_snippet.toml"
    first = spectrograph["grating"][0]["number"]
    path.write_text(re.sub(r"grating = \d+", f"grating = {first}", sweep), encoding="utf-8")
    return path


def _is_station(text: str) -> bool:
    return set(tomllib.loads(text)) <= set(StationConfig.model_fields)


def with_sections(base: str, text: str) -> str:
    """Return the base file with the sections of `text` in place of its own."""
    replaced = set(tomllib.loads(text))
    parts = re.split(r"^(?=\[)", base, flags=re.MULTILINE)
    return "".join(part for part in parts if _section(part) not in replaced) + text


def _section(part: str) -> str:
    header = re.match(r"\[+(\w+)", part)
    return header[1] if header else ""


def _name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
@pytest.mark.timeout(300)  # simulated instruments keep time, other tests take the cores
def test_a_document_does_what_it_says(document: Path, tmp_path: Path, finished_run: Path) -> None:
    run_document(document, tmp_path, finished_run)


def test_every_snippet_is_of_a_kind_that_is_proven() -> None:
    languages = {snippet.language for document in DOCUMENTS for snippet in snippets(document)}

    assert languages <= LANGUAGES


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_no_snippet_is_overlooked(document: Path) -> None:
    fences = re.findall(r"^ *```", document.read_text(encoding="utf-8"), re.MULTILINE)

    assert len(fences) == 2 * len(snippets(document))


def test_what_sets_the_program_up_is_run_by_ci_as_it_stands() -> None:
    typed = [
        line
        for document in DOCUMENTS
        for snippet in snippets(document)
        if snippet.language == "sh"
        for line in snippet.text.splitlines()
    ]

    assert {"make demo", "make test"} <= set(typed)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert set(typed) <= set(re.findall(r"^make \w+", script, re.MULTILINE))


def test_links_lead_somewhere() -> None:
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)#:\s]+)[^):]*\)", document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]

    assert broken == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```console\n$ echo one\ntwo\n```\n", "printed"),
        ("```console\n$ false\n```\n", "false"),
        ("```console\n$ echo one &\ntwo\n$ wait\n```\n", "printed"),
        ("```python\nraise ValueError('no')\n```\n", "ValueError"),
    ],
)
def test_a_snippet_that_is_wrong_is_noticed(tmp_path: Path, text: str, complaint: str) -> None:
    document = tmp_path / "wrong.md"
    document.write_text(text)

    with pytest.raises(AssertionError, match=complaint):
        run_document(document, tmp_path / "folder", tmp_path)


def test_a_toml_snippet_with_a_mistake_is_noticed(tmp_path: Path) -> None:
    document = tmp_path / "wrong.md"
    document.write_text('```toml\n[end]\ncryostat = "melt"\n```\n')

    with pytest.raises(Exception, match="melt"):
        run_document(document, tmp_path / "folder", tmp_path)


def test_right_snippets_of_every_kind_pass(tmp_path: Path) -> None:
    document = tmp_path / "right.md"
    document.write_text(
        "```console\n$ (sleep 0.5; touch late) &\n$ ls late\n$ WORD=there\n$ false\n$ echo $?\n"
        "1\n$ echo hello \\\n> $WORD $HOME\nhello there ...\n```\n```python\nprint(1)\n```\n"
        '```toml\n[end]\ncryostat = "heater off"\n```\n'
    )

    run_document(document, tmp_path / "folder", tmp_path)
