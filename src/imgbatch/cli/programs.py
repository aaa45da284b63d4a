"""All four commands, for what concerns each of them."""

from __future__ import annotations

from imgbatch.cli.client_options import CLIENT
from imgbatch.cli.preview_options import PREVIEW
from imgbatch.cli.server_options import SERVER, STATUS

PROGRAMS = (CLIENT, SERVER, STATUS, PREVIEW)
