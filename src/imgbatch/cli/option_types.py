"""Options and programs for click: parsers, help, man pages and reference come from them.

Each option is declared once. Its `key` is its name elsewhere: ``image-timeout`` is
``--image-timeout`` on the command line, ``IMGBATCH_IMAGE_TIMEOUT`` in the environment and
``image-timeout`` in the ``[imgbatch]`` table of a TOML file. Its `name` is the field that takes its
value; an option that was given nowhere leaves the field's own default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from imgbatch.cli.terminal import print_out
from imgbatch.cli.values import PATH, choice, seconds
from imgbatch.version import __version__

SHELLS = ("bash", "zsh", "fish")
"""Those that ``--print-completion`` knows."""


class Option(click.Option):
    """One option.

    Parameters
    ----------
    form
        ``--brightness N``; ``--format`` for a choice, whose words are known; ``--html/--no-html``
        or ``--verbose`` for a switch.
    help
        What it does, with its unit, range and default.
    kind
        What it takes, as click's `type`; None: text, or nothing.
    field
        The field that takes its value, if that is called otherwise; ``_seconds`` is added to the
        name of what takes seconds.
    everywhere
        Whether settings files and the environment may set it too.
    short
        A shorter name for it.
    """

    def __init__(
        self,
        form: str,
        help: str,  # noqa: A002  # as click calls it
        kind: Any = None,
        field: str = "",
        *,
        everywhere: bool = True,
        short: str = "",
        **attributes: Any,
    ) -> None:
        flags, _, metavar = form.partition(" ")
        if isinstance(kind, click.Choice):
            metavar = "|".join(kind.choices)
        self.key = flags.partition("/")[0].removeprefix("--")
        self.everywhere = everywhere
        name = self.key.replace("-", "_")
        super().__init__(
            [*short.split(), flags, field or (f"{name}_seconds" if kind is seconds else name)],
            type=kind,
            metavar=metavar,
            is_flag=not metavar,
            default=None,
            help=help,
            envvar=f"IMGBATCH_{name.upper()}" if everywhere else None,
            show_envvar=everywhere,
            **attributes,
        )


def forms_of(param: click.Parameter) -> tuple[str, ...]:
    """Return how it is written: ``--contrast N``, ``--html`` and ``--no-html``, or ``INPUT``."""
    if isinstance(param, click.Option) and param.is_flag:
        return (*param.opts, *param.secondary_opts)
    name = [param.opts[0]] if isinstance(param, click.Option) else []
    return (" ".join([*name, str(param.metavar)]),)


class Group:
    """Options that belong together under one heading.

    Parameters
    ----------
    needs
        The field of another option without which they make no sense on the command line.
    """

    def __init__(self, title: str, *options: Option | click.Argument, needs: str = "") -> None:
        self.title = title
        self.options = options
        self.needs = needs


class Program(click.Command):
    """A command.

    Parameters
    ----------
    name
        What it is called; what it says of itself stands under that name in ``programs.toml``.
    *groups
        Its options in the order of the help.
    """

    def __init__(self, name: str, *groups: Group) -> None:
        self.groups = (*groups, _COMMON)
        self.options = [option for group in self.groups for option in group.options]
        super().__init__(name, params=[*self.options], add_help_option=False)

    @cached_property
    def prose(self) -> dict[str, Any]:
        """Its summary, examples, remarks and exit statuses."""
        import tomllib

        text = Path(__file__).with_name("programs.toml").read_text(encoding="utf-8")
        prose: dict[str, Any] = tomllib.loads(text)[str(self.name)]
        return prose

    @property
    def usage(self) -> str:
        """What follows its name on the command line."""
        arguments = [str(it.metavar) for it in self.options if isinstance(it, click.Argument)]
        return " ".join([*arguments, "[options]"])

    def sections(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """Yield the parts of help, man page and reference: a title, and terms with their meanings.

        A text without terms is the meaning of an empty one.
        """
        for group in self.groups:
            yield group.title, [(", ".join(forms_of(it)), it.help or "") for it in group.options]
        yield "examples", list(self.prose["examples"].items())
        for title, text in self.prose.get("remarks", {}).items():
            yield title, [("", text)]
        yield "exit status", list(self.prose["exit-statuses"].items())

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the help."""
        formatter.write_usage(str(self.name), self.usage)
        formatter.write_paragraph()
        formatter.write_text(self.prose["summary"])
        for title, rows in self.sections():
            with formatter.section(title):
                if not rows[0][0]:
                    formatter.write_text(rows[0][1])
                else:
                    # Examples are too long to have their meanings beside them.
                    formatter.write_dl(rows, col_max=4 if title == "examples" else 24)


def completion(command: click.Command, shell: str) -> str:
    """Return the script that makes a shell complete a command."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    name = str(command.name)
    return made(command, {}, name, completion_variable(name)).source().rstrip()


def completion_variable(name: str) -> str:
    """Return the variable by which such a script asks a command for what it offers."""
    return f"_{name.replace('-', '_').upper()}_COMPLETE"


def _asking(
    form: str, text: str, answer: Callable[[click.Context, Any], str], kind: Any = None
) -> Option:
    """Return an option that prints a text instead of running the program."""

    def show(ctx: click.Context, _option: click.Parameter, asked: Any) -> None:
        if asked is not None and not ctx.resilient_parsing:
            print_out(answer(ctx, asked))
            ctx.exit()

    short = "-h" if form == "--help" else ""
    hidden: dict[str, Any] = {"is_eager": True, "expose_value": False, "callback": show}
    return Option(form, text, kind, everywhere=False, short=short, **hidden)


_COMMON = Group(
    "help and settings",
    Option(
        "--config FILE.toml",
        "settings file (default: ~/.config/imgbatch.toml, if it is there)",
        PATH,
    ),
    _asking("--help", "show this and exit", lambda ctx, _: ctx.get_help()),
    _asking(
        "--version", "show the version and exit", lambda ctx, _: f"{ctx.command.name} {__version__}"
    ),
    _asking(
        "--print-completion",
        "print what makes this shell complete the command, and exit",
        lambda ctx, shell: completion(ctx.command, shell),
        choice(SHELLS),
    ),
)
"""What each command has as well."""
