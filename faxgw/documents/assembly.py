"""A fax page put together from what the worker has drawn of it: the page itself, and the header line above."""

import numpy as np

from faxgw.documents import screening
from faxgw.documents.wire import PageJob
from t30.t4 import Bitmap


def put_together(job: PageJob, drawn: bytes | bytearray) -> Bitmap:
    """Return the page of a job.

    Args:
        job: what was to be drawn, and how it becomes black and white.
        drawn: the greys that answer it: ``wire.grey_octets`` of them.
    """
    box, words = job.box, np.zeros((job.rows, -(-job.pels // 64)), np.uint64)
    octets = np.frombuffer(drawn, np.uint8)
    page, header = octets[: box.down * box.across], octets[box.down * box.across :]
    grey, rows = page.reshape(box.down, box.across), words[box.top : box.top + box.down]
    if job.copied:
        screening.copy(grey, rows, left=box.left)
    else:
        screening.put(grey, rows, left=box.left, screen=job.screen, resolution=job.resolution)
    if job.header_rows:
        line = words[: job.header_rows]
        line[:] = 0
        screening.copy(header.reshape(job.header_rows, job.pels), line, left=0, limit=screening.THRESHOLD)
    return Bitmap(job.pels, words)
