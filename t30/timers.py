"""Every time and count that T.30 sets, in seconds. The text's tolerances are in brackets."""

T0 = 60.0
"""How long a caller waits for an answer [60 ± 5 s]."""
T1 = 35.0
"""How long two machines try to identify each other [35 ± 5 s]."""
T2 = 6.0
"""How long a receiver waits for a command [6 ± 1 s]."""
T2_MORE = 0.9
"""So much longer it listens for V.21 when T2 brought no fast carrier: a modem that waits for one may not tell."""
T3 = 10.0
"""How long a machine calls its operator [10 ± 5 s]."""
T4 = 3.0
"""How long a sender waits for a response before it repeats the command [3 s ± 15 %]."""
T5 = 60.0
"""How long a receiver may say that it is not ready [60 ± 5 s]."""

TRIES = 3
"""How often a command is sent before the sender gives up."""

TURNAROUND = 0.075
"""Silence between two signals [75 ± 20 ms]; HylaFAX's default is 70 ms (+FTS=7)."""

AFTER_CARRIER = 0.5
"""Who waits for a response, and hears a fast carrier pass, speaks so soon after it. With T4, two who missed each other
would begin again at the same moment, and again."""

CED_TO_DIS = 0.075
"""Silence between CED and the first V.21 signal [75 ± 20 ms]."""

CNG_GAP = 3.0
"""Silence between two CNG tones [3 s ± 15 %]; the caller listens for V.21 in it."""

NEXT_FRAME = 4.5
"""A frame lasts at most 3.45 s; once a signal has begun, its first or next frame must have ended by then."""

PREAMBLE = 1.0
"""Flags before the first frame of a V.21 signal [1 s ± 15 %]."""
FAST_FLAGS = 0.2
"""Flags before the first frame of a partial page in error correction mode (T.30 Annex A)."""

TCF_SECONDS = 1.5
"""Length of the training check [1.5 s ± 10 %]."""
TCF_SENT = 1.4
"""Length of our own: 0.1 s less of every call, and 0.05 s more than the shortest that the text allows."""

RESPONSE_REPEATED = 4.0
"""A command that repeats itself because our response was lost has been heard by then, counted from the end of that:
after T4, 3.0 s + 15 %, and more than half a second that a modem may be late. A page of at most 2.5 s of which nothing
at all was heard passes for a repetition; so the time is no longer than that: a page that comes twice is better than one
that is confirmed and was never there."""
