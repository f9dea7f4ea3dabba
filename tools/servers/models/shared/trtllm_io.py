"""Requests and responses of the bare TRT-LLM tensor contract.

Shared by the two models called tensorrt_llm: the one on the toy generator and
the one on vLLM's engine core. Tensor names, datatypes and dims are those of the
config.pbtxt beside the model.
"""

import dataclasses
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class InvalidRequest(ValueError):
    """A request that must be answered with an error message."""


@dataclasses.dataclass
class Generation:
    """What a request asks for."""

    ids: list
    max_tokens: int
    min_tokens: int = 0
    end_id: int = -1
    streaming: bool = False
    seed: int = 0
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    count_input: bool = False
    count_output: bool = False
    perf_metrics: bool = False


def scalar(request, name, default=None):
    """The only element of an input, or default when the request lacks it."""
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return default
    values = tensor.as_numpy().reshape(-1)
    return values[0].item() if len(values) else default


def parse(request, vocabulary, max_tokens_in_all):
    """Reads a request; raises InvalidRequest when it cannot be served.

    The prompt and the output must fit into max_tokens_in_all together, as an
    engine built with max_seq_len has it.
    """
    for name in ("input_ids", "input_lengths", "request_output_len"):
        # Triton itself compares the number of inputs only.
        if pb_utils.get_input_tensor_by_name(request, name) is None:
            raise InvalidRequest(f"input {name} is missing")
    ids = pb_utils.get_input_tensor_by_name(request, "input_ids").as_numpy().reshape(-1)
    length = scalar(request, "input_lengths")
    if not 0 < length <= len(ids):
        raise InvalidRequest(f"input_lengths is {length}, input_ids holds {len(ids)} tokens")
    ids = ids[:length].tolist()
    generation = Generation(
        ids=ids,
        max_tokens=scalar(request, "request_output_len"),
        min_tokens=scalar(request, "min_tokens", 0),
        end_id=scalar(request, "end_id", -1),
        streaming=bool(scalar(request, "streaming", False)),
        seed=scalar(request, "seed", 0),
        temperature=scalar(request, "temperature", 0.0),
        top_k=scalar(request, "runtime_top_k", 0),
        top_p=scalar(request, "runtime_top_p", 1.0),
        count_input=bool(scalar(request, "return_num_input_tokens", False)),
        count_output=bool(scalar(request, "return_num_output_tokens", False)),
        perf_metrics=bool(scalar(request, "return_perf_metrics", False)),
    )
    if generation.max_tokens < 1:
        raise InvalidRequest(f"request_output_len is {generation.max_tokens}, it must be at least 1")
    if scalar(request, "beam_width", 1) != 1 or scalar(request, "num_return_sequences", 1) != 1:
        raise InvalidRequest("only beam_width 1 and num_return_sequences 1 are served")
    if len(ids) + generation.max_tokens > max_tokens_in_all:
        raise InvalidRequest(
            f"prompt length ({len(ids)}) plus request_output_len ({generation.max_tokens}) "
            f"exceeds the maximum of {max_tokens_in_all} tokens"
        )
    if min(ids) < 0 or max(ids) >= vocabulary:
        raise InvalidRequest(f"input_ids holds an id outside of 0..{vocabulary - 1}")
    return generation


class Reply:
    """The responses to one request; safe for use by several threads.

    tokens() sends one response at once when the request is streaming, and keeps
    the ids for the final response when it is not. A reply that was finished or
    failed ignores what comes later: after the final flag the server has freed what
    stands behind the sender, so not even is_cancelled may be asked.
    """

    def __init__(self, sender, generation):
        self._sender = sender
        self._generation = generation
        self._kept = []
        self._times = {"arrival_time_ns": time.monotonic_ns()}
        self._lock = threading.Lock()
        self.done = False

    def scheduled(self):
        """Notes that the engine took up the request."""
        self._times["first_scheduled_time_ns"] = time.monotonic_ns()

    def tokens(self, ids, final):
        """Hands over the ids of one engine step; final marks the last step."""
        now = time.monotonic_ns()
        if ids:
            self._times.setdefault("first_token_time_ns", now)
            self._times["last_token_time_ns"] = now
        if not self._generation.streaming:
            self._kept += ids
            if not final:
                return
            ids = self._kept
        self._send(pb_utils.InferenceResponse(self._tensors(ids)), final)

    def fail(self, message):
        """Ends the reply with an error message."""
        self._send(pb_utils.InferenceResponse(error=pb_utils.TritonError(message)), final=True)

    def end_cancelled(self):
        """Ends the reply of a request that its client has cancelled."""
        with self._lock:
            if not self.done:
                self.done = True
                self._sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def cancelled(self):
        """Whether the client has cancelled the request and the reply is still open."""
        with self._lock:
            return not self.done and self._sender.is_cancelled()

    def _send(self, response, final):
        with self._lock:
            if self.done:
                return
            self.done = final
            self._sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if final else 0)

    def _tensors(self, ids):
        tensors = [
            pb_utils.Tensor("output_ids", np.array([[ids]], dtype=np.int32)),
            pb_utils.Tensor("sequence_length", np.array([[len(ids)]], dtype=np.int32)),
        ]
        if self._generation.count_input:
            count = len(self._generation.ids)
            tensors.append(pb_utils.Tensor("num_input_tokens", np.array([[count]], dtype=np.int32)))
        if self._generation.count_output:
            tensors.append(pb_utils.Tensor("num_output_tokens", np.array([[len(ids)]], dtype=np.int32)))
        if self._generation.perf_metrics:
            for name, at in self._times.items():
                tensors.append(pb_utils.Tensor(name, np.array([[at]], dtype=np.int64)))
        return tensors

