"""What `cryoscan ARGUMENTS` does, in a forked child that needs no start of an interpreter.

COMMAND comes from the fixture that runs this file: arguments, folder, and files for the output.
"""

import os
import sys

from acquisition.cli import main

COMMAND = globals()["COMMAND"]

os.chdir(COMMAND["folder"])
for stream, path in ((sys.stdout, COMMAND["out"]), (sys.stderr, COMMAND["err"])):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream.fileno())
sys.argv = ["cryoscan", *COMMAND["arguments"]]
main()
