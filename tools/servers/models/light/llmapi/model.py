"""The contract of TRT-LLM's llmapi model on the toy generator: every response
holds the text so far."""

import json

import text_io
import toy


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
        generation = text_io.Generation(
            ids=toy.encode(inputs["text_input"].decode()),
            max_tokens=inputs.get("sampling_param_max_tokens", 32),
            seed=inputs.get("sampling_param_seed", 0),
        )

        def compose(_, all_ids, finish):
            tensors = [text_io.text_tensor("text_output", text_io.text(all_ids))]
            if inputs.get("return_finish_reason"):
                tensors.append(text_io.text_tensor("finish_reason", finish or ""))
            if inputs.get("return_stop_reason"):
                tensors.append(text_io.text_tensor("stop_reason", ""))
            return tensors

        reply = text_io.Reply(sender, generation, bool(inputs.get("streaming", False)), compose)
        invalid = text_io.check(generation, self._max_tokens)
        if invalid:
            reply.fail(invalid)
        else:
            self._generator.submit(generation, reply)

    def finalize(self):
        self._generator.close()
