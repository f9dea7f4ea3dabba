"""The bare tensorrt_llm contract on the toy generator."""

import json

import toy
import trtllm_io
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        delay_ms = float(parameters["delay_ms"]["string_value"])
        self._max_tokens = int(parameters["max_seq_len"]["string_value"])
        burst = int(parameters["burst"]["string_value"])
        slots = int(parameters["max_num_seqs"]["string_value"])
        self._generator = toy.Generator(delay_ms / 1000, burst, slots)

    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            try:
                generation = trtllm_io.parse(request, toy.VOCABULARY, self._max_tokens)
            except trtllm_io.InvalidRequest as invalid:
                trtllm_io.Reply(sender, None).fail(str(invalid))
                continue
            self._generator.submit(generation, trtllm_io.Reply(sender, generation))
        return None

    def finalize(self):
        self._generator.close()
