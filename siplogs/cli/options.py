"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Configuration = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings (default: /etc/siplogs/siplogs.toml).")
]
StateFile = Annotated[
    Path | None, typer.Option("--state", metavar="FILE", help="Where it is kept how far each log was read.")
]
Servers = Annotated[
    str | None, typer.Option("--elasticsearch", metavar="URL", help="Elasticsearch to send to; several with commas.")
]
Timezone = Annotated[
    str | None, typer.Option("--timezone", metavar="ZONE", help="Zone of the log's times (default: the host's).")
]
Pack = Annotated[
    str | None, typer.Option("--pack", metavar="NAME", help="Pattern pack to read with (default: recognised).")
]
