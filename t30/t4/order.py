"""The order of bits in octets: compiled.

On a wire the first bit is mostly the lowest of its octet; in files, in T.38 and in PDF it is mostly the highest.
"""

import numpy as np

from t30.t4.instructions import turned
from t30.t4.jit import kernel
from t30.t4.state import Words


@kernel
def turn_octets(words: Words, count: int) -> None:
    """Turn each octet of the first ``count`` words round."""
    for place in range(count):
        words[np.uint64(place)] = turned(words[np.uint64(place)])
