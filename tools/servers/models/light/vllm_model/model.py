"""The contract of Triton's vllm_backend on the toy generator: sampling parameters
as JSON text, every response holds the new text only."""

import json

import numpy as np
import text_io
import toy
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        self._max_tokens = int(parameters["max_seq_len"]["string_value"])
        delay_ms = float(parameters["delay_ms"]["string_value"])
        burst = int(parameters["burst"]["string_value"])
        self._generator = toy.Generator(delay_ms / 1000, burst, int(parameters["max_num_seqs"]["string_value"]))

    def execute(self, requests):
        for request in requests:
            self._start(text_io.inputs(request), request.get_response_sender())
        return None

    def _start(self, inputs, sender):
        prompt = inputs["text_input"].decode()
        streaming = bool(inputs.get("stream", False))
        try:
            sampling = json.loads(inputs.get("sampling_parameters", b"{}") or b"{}")
        except json.JSONDecodeError as invalid:
            text_io.Reply(sender, None, streaming, None).fail(f"sampling_parameters is not JSON: {invalid}")
            return
        generation = text_io.Generation(
            ids=toy.encode(prompt),
            max_tokens=int(sampling.get("max_tokens", 16)),
            min_tokens=int(sampling.get("min_tokens", 0)),
            end_id=-1 if sampling.get("ignore_eos") else toy.END_ID,
            seed=int(sampling.get("seed") or 0),
        )
        # As in the original, the prompt is repeated only where nothing streams.
        repeat_prompt = not streaming and not inputs.get("exclude_input_in_output", False)

        def compose(ids, _, finish):
            text = text_io.text(ids)
            tensors = [text_io.text_tensor("text_output", prompt + text if repeat_prompt else text)]
            if inputs.get("return_finish_reason"):
                tensors.append(text_io.text_tensor("finish_reason", str(finish)))
            if inputs.get("return_num_input_tokens"):
                tensors.append(_count("num_input_tokens", len(generation.ids)))
            if inputs.get("return_num_output_tokens"):
                tensors.append(_count("num_output_tokens", len(ids)))
            return tensors

        reply = text_io.Reply(sender, generation, streaming, compose)
        invalid = text_io.check(generation, self._max_tokens)
        if invalid:
            reply.fail(invalid)
        else:
            self._generator.submit(generation, reply)

    def finalize(self):
        self._generator.close()


def _count(name, value):
    return pb_utils.Tensor(name, np.array([value], dtype=np.uint32))
