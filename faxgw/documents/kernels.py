"""All that is compiled, loaded before a call depends on it: the codec, what makes greys black and white, T.38's pages.

``python -m faxgw.documents.kernels`` compiles it right after installation, so that no first start takes longer.
"""

import asyncio
from collections.abc import Set
from pathlib import Path

from faxgw.documents import screening
from t30.pages import Coding
from t30.t4 import jit, load_kernels

FOLDER = "kernels"
"""Where compiled code is kept in the data of a gateway, if nowhere else."""


def load(codings: Set[Coding]) -> None:
    """Load all that a call needs whose pages have these codings; blocks.

    It takes half a second; the first time after installation, when there is nothing to load yet, some seconds.
    """
    load_kernels(codings | {Coding.MMR})  # in which every page is filed
    screening.load()


def keep_in(data_dir: Path) -> None:
    """Have what is compiled from now on kept below a gateway's data, where it can be kept nowhere else."""
    jit.keep_in(data_dir / FOLDER)


def main() -> None:
    """Load everything there is, which compiles what is not compiled yet."""
    from drivers.t38 import pages  # noqa: PLC0415

    load(frozenset(Coding))
    asyncio.run(pages.prepare(fill=True, mmr=True))


if __name__ == "__main__":
    main()
