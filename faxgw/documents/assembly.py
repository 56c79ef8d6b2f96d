"""A fax page put together from what the worker has drawn of it: the page itself, and the header line above."""

import numpy as np

from faxgw.documents import screening
from faxgw.documents.wire import PageJob, frames
from t30.t4 import Bitmap
from t30.t4.lanes import Greys


def put_together(job: PageJob, drawn: Greys) -> Bitmap:
    """Return the page of a job.

    Args:
        job: what was to be drawn, and how it becomes black and white.
        drawn: the greys that answer it: ``wire.sheet_octets`` of them, which may be changed.
    """
    box, words = job.box, np.zeros((job.rows, -(-job.pels // 64)), np.uint64)
    page, header = frames(job, drawn)
    rows = words[box.top : box.top + box.down]
    if job.copied:
        screening.copy(page, rows, left=box.left)
    else:
        screening.put(page, rows, left=box.left, screen=job.screen, resolution=job.resolution)
    if job.header_rows:
        line = words[: job.header_rows]
        line[:] = 0
        screening.copy(header, line, left=0, limit=screening.THRESHOLD)
    return Bitmap(job.pels, words)
