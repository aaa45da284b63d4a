"""Scripts that make a shell complete a command, from the data its parser is made from."""

from __future__ import annotations

import argparse

from imgbatch.cli.options import COMMON, Completes, Kind, Option, Program, build_parser

_FILE_NAMES = {
    # shtab's own function splits names with spaces.
    "bash": 'compgen -f -- "$1"',
    "zsh": "_files",
    "fish": "(__fish_complete_path (commandline -ct))",
}
_FOLDER_NAMES = {
    "bash": 'compgen -d -- "$1"',
    "zsh": "_files -/",
    "fish": "(__fish_complete_directories)",
}
_PATHS = {Completes.FILE: _FILE_NAMES, Completes.FOLDER: _FOLDER_NAMES}


def completion(program: Program, shell: str) -> str:
    """Return the script that makes a shell complete a command.

    Parameters
    ----------
    shell
        One of `imgbatch.cli.options.SHELLS`.
    """
    import shtab

    parser = build_parser(program)
    options = {option.key: option for option in (*program.options, *COMMON.options)}
    for action in parser._actions:
        if action.dest in options:
            _teach(action, options[action.dest], program)
    script: str = shtab.complete(parser, shell)
    if shell == "zsh":
        script = _repeatable(script, program)
    return script.rstrip() + "\n"


def _repeatable(script: str, program: Program) -> str:
    # shtab knows which options may come again by argparse's own class of action only.
    for option in program.options:
        if option.kind is Kind.VALUES:
            script = script.replace(f'"{option.name}[', f'"*{option.name}[')
    return script


def _teach(action: argparse.Action, option: Option, program: Program) -> None:
    """Put what shtab shall offer for an option's value where it looks for it."""
    words = " ".join(option.choices or option.suggestions)
    paths = _PATHS.get(option.completes)
    if paths is None:
        action.choices = words.split() or None
        return
    # bash takes a function's words for paths, and quotes them, if its name says "file".
    function = f"_{program.name}_{option.key}_file".replace("-", "_")
    bash = f'compgen -W "{words}" -- "$1"; {paths["bash"]}' if words else paths["bash"]
    zsh = f'_alternative "words:word:({words})" "paths:path:{paths["zsh"]}"'
    action.complete = {  # type: ignore[attr-defined]
        "bash": function,
        "zsh": function if words else paths["zsh"],
        "fish": f"{words} {paths['fish']}".lstrip(),
        "preamble": {
            "bash": f"{function}() {{ {bash}; }}",
            "zsh": f"{function}() {{ {zsh}; }}" if words else "",
        },
    }
