"""Replies of the models that answer with text straight from the toy generator."""

import dataclasses

import numpy as np
import toy
import triton_python_backend_utils as pb_utils


@dataclasses.dataclass
class Generation:
    """What a request asks for, in the fields that toy.Generator reads."""

    ids: list
    max_tokens: int
    min_tokens: int = 0
    end_id: int = toy.END_ID
    seed: int = 0


class Reply:
    """The responses to one request; compose(ids, all_ids, finish) makes the tensors.

    ids are the new ids of a response, all_ids those of the reply so far, finish is
    "length", "stop" or None. When streaming is off, one response holds everything.
    """

    def __init__(self, sender, generation, streaming, compose):
        self._sender = sender
        self._generation = generation
        self._streaming = streaming
        self._compose = compose
        self._all = []
        self.done = False

    def scheduled(self):
        """Nothing to note."""

    def tokens(self, ids, final):
        """Hands over the ids of one step; final marks the last step."""
        self._all += ids
        self.done = final
        finish = None
        if final:
            stopped = self._all[-1:] == [self._generation.end_id]
            finish = "stop" if stopped else "length"
        if self._streaming or final:
            flags = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if final else 0
            new = ids if self._streaming else self._all
            self._sender.send(pb_utils.InferenceResponse(self._compose(new, self._all, finish)), flags=flags)

    def fail(self, message):
        """Ends the reply with an error message."""
        self.done = True
        error = pb_utils.InferenceResponse(error=pb_utils.TritonError(message))
        self._sender.send(error, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def end_cancelled(self):
        """Ends the reply of a request that its client has cancelled."""
        self.done = True
        self._sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def cancelled(self):
        """Whether the client has cancelled the request."""
        return self._sender.is_cancelled()


def text(ids):
    """Text of ids without the end id."""
    return toy.decode(i for i in ids if i != toy.END_ID)


def text_tensor(name, value):
    """A BYTES tensor of one element."""
    return pb_utils.Tensor(name, np.array([value.encode()], dtype=np.object_))


def inputs(request):
    """Every input by name: the only element, or the list of elements where there are more."""
    values = {}
    for tensor in request.inputs():
        elements = tensor.as_numpy().reshape(-1).tolist()
        values[tensor.name()] = elements[0] if len(elements) == 1 else elements
    return values


def check(generation, max_tokens_in_all):
    """The error message for a request that cannot be served, or None."""
    if not generation.ids:
        return "text_input is empty"
    if generation.max_tokens < 1:
        return f"max_tokens is {generation.max_tokens}, it must be at least 1"
    if len(generation.ids) + generation.max_tokens > max_tokens_in_all:
        return (
            f"prompt length ({len(generation.ids)}) plus max_tokens ({generation.max_tokens}) "
            f"exceeds the maximum of {max_tokens_in_all} tokens"
        )
    return None
