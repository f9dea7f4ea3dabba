"""A toy generator: one scheduler thread that gives every running request a token,
or several, a step, as an engine with continuous batching does. It computes nothing; the ids
are pseudo-random and depend on the prompt and the seed only.

A prompt whose first id is COMMAND asks for a fault. The second id says which,
the third id is k, the fourth id is a time in ms (both 0 when absent):

    1 error   an error message after k tokens
    2 stall   after k tokens nothing comes for the time given, then it goes on
    3 short   the reply ends well after k tokens, however many were asked for
    4 burst   k tokens a step, as with speculative decoding

Models that take text read the same from a prompt of the form "!error 3",
"!stall 2 1500", "!short 0", "!burst 4".
"""

import dataclasses
import threading
import time
import zlib

VOCABULARY = 128256
COMMAND = VOCABULARY - 1  # a reserved id at the vocabulary's end: no text has it
END_ID = 128009  # what preprocessing fills in where a request names no end_id
FAULTS = {"error": 1, "stall": 2, "short": 3, "burst": 4}
ERROR, STALL, SHORT, BURST = 1, 2, 3, 4
MAX_STALL_MS = 120_000

_SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]


def encode(text):
    """Ids of a text: one a word. A command gives the ids of its fault."""
    words = text.split()
    if words and words[0][:1] == "!" and words[0][1:] in FAULTS:
        return [COMMAND, FAULTS[words[0][1:]]] + [int(w) for w in words[1:3] if w.isdigit()]
    return [zlib.crc32(word.encode()) % COMMAND for word in words]


def split_error(text):
    """For a caller that raises the error itself: the error's message, and the
    command for the reply that comes before it; (None, text) for any other text."""
    ids = encode(text)
    if ids[:2] != [COMMAND, ERROR]:
        return None, text
    k = (ids[2:3] or [0])[0]
    return error_message(k), f"!short {k}"


def error_message(k):
    """What the error fault says."""
    return f"toy generator: error after {k} tokens, as the prompt asked"


def decode(ids):
    """Text of ids: one word each, with a space before it."""
    out = []
    for i in ids:
        word = ""
        for _ in range(3):
            i, syllable = divmod(i, len(_SYLLABLES))
            word += _SYLLABLES[syllable]
        out.append(" " + word)
    return "".join(out)


@dataclasses.dataclass
class _Running:
    generation: object
    reply: object
    state: int
    fault: tuple
    sent: int = 0
    stalled_until: float = 0.0
    stalled: bool = False


class Generator:
    """Runs requests; submit is safe from any thread.

    delay is the time of one step in seconds, burst the tokens that a request
    gets in it, slots how many requests run at once; the rest wait in the order in
    which they came.
    """

    CANCEL_CHECK_SECONDS = 0.1  # cancellation_check_period_ms of TRT-LLM

    def __init__(self, delay, burst, slots):
        self._delay = delay
        self._burst = burst
        self._slots = slots
        self._waiting = []
        self._running = []
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._loop, name="toy-generator", daemon=True)
        self._thread.start()

    def submit(self, generation, reply):
        """Queues a request; reply gets scheduled(), tokens(ids, final), fail(message)."""
        ids = generation.ids
        state = zlib.crc32(repr((ids, generation.seed)).encode())
        fault = (0, 0, 0)
        if ids[0] == COMMAND:
            fault = tuple((ids[1:4] + [0, 0, 0])[:3])
        with self._changed:
            self._waiting.append(_Running(generation, reply, state, fault))
            self._changed.notify()

    def close(self):
        """Ends the thread; what still runs gets an error message."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _loop(self):
        step_at = time.monotonic()
        cancel_check_at = step_at
        while True:
            with self._changed:
                while not (self._waiting or self._running or self._closing):
                    self._changed.wait()
                    step_at = time.monotonic()
                if self._closing:
                    break
                self._admit()
            # Absolute deadlines: a late step is not paid for by the next one,
            # and a step that took longer than the delay does not pile up.
            step_at = max(step_at + self._delay, time.monotonic())
            time.sleep(max(0.0, step_at - time.monotonic()))
            if step_at >= cancel_check_at:
                cancel_check_at = step_at + self.CANCEL_CHECK_SECONDS
                for r in self._running:
                    if r.reply.cancelled():
                        r.reply.end_cancelled()
            for r in self._running:
                self._step(r)
            self._running = [r for r in self._running if not r.reply.done]
        for r in self._running + self._waiting:
            r.reply.fail("the server is shutting down")

    def _admit(self):
        while self._waiting and len(self._running) < self._slots:
            r = self._waiting.pop(0)
            r.reply.scheduled()
            self._running.append(r)

    def _step(self, r):
        if r.reply.done or time.monotonic() < r.stalled_until:
            return
        kind, k, ms = r.fault
        if kind == STALL and r.sent == k and not r.stalled:
            r.stalled = True
            r.stalled_until = time.monotonic() + min(ms, MAX_STALL_MS) / 1000
            return
        if kind == ERROR and r.sent == k:
            r.reply.fail(error_message(k))
            return
        last = k if kind == SHORT else r.generation.max_tokens
        ids, ended = [], False
        while len(ids) < (max(1, k) if kind == BURST else self._burst) and r.sent < last and not ended:
            token, ended = self._next(r)
            ids.append(token)
            r.sent += 1
        r.reply.tokens(ids, ended or r.sent >= last)

    @staticmethod
    def _next(r):
        """The next id, and whether it ends the reply: an end_id comes one time in 64."""
        r.state = (r.state * 1664525 + 1013904223) & 0xFFFFFFFF
        g = r.generation
        if g.end_id >= 0 and r.sent + 1 > g.min_tokens and (r.state >> 8) % 64 == 0:
            return g.end_id, True
        token = (r.state >> 8) % COMMAND
        return (token + 1 if token == g.end_id else token), False
