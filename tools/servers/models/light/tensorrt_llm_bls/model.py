"""preprocessing, tensorrt_llm and postprocessing called from Python.

Data responses carry no final flag; a response without outputs ends the reply,
after an error too. That is how TRT-LLM's own BLS model does it.
"""

import numpy as np
import toy
import triton_python_backend_utils as pb_utils

# Inputs that tensorrt_llm takes under another name; the rest keep theirs.
RENAMED = {"stream": "streaming", "top_k": "runtime_top_k", "top_p": "runtime_top_p", "length_penalty": "len_penalty"}
PASSED = [
    "stream", "pad_id", "min_tokens", "beam_width", "num_return_sequences", "top_k", "top_p", "temperature",
    "length_penalty", "repetition_penalty", "seed", "return_perf_metrics", "return_num_input_tokens",
    "return_num_output_tokens", "exclude_input_in_output",
]  # fmt: skip
METRICS = [
    "num_input_tokens", "num_output_tokens", "arrival_time_ns", "first_scheduled_time_ns", "first_token_time_ns",
    "last_token_time_ns",
]  # fmt: skip


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            try:
                for tensors in self._replies(request):
                    sender.send(pb_utils.InferenceResponse(tensors))
            except pb_utils.TritonModelException as failed:
                sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError(str(failed))))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        return None

    def _replies(self, request):
        inputs = {tensor.name(): tensor for tensor in request.inputs()}
        text = inputs["text_input"].as_numpy().reshape(-1)[0].decode()
        # Triton 2.51 hangs in exec(decoupled=True) when an error comes after a data
        # response, so the error that a prompt may ask for is raised here.
        failure, text = toy.split_error(text)
        query = [
            pb_utils.Tensor("QUERY", np.array([[text.encode()]], dtype=np.object_)),
            _renamed(inputs["max_tokens"], "REQUEST_OUTPUT_LEN"),
        ]
        if "end_id" in inputs:
            query.append(_renamed(inputs["end_id"], "END_ID"))
        ids = _outputs(_call("preprocessing", query, ["INPUT_ID", "REQUEST_INPUT_LEN", "OUT_END_ID"]))

        prompt = [
            _renamed(ids["INPUT_ID"], "input_ids"),
            _renamed(ids["REQUEST_INPUT_LEN"], "input_lengths"),
            _renamed(ids["OUT_END_ID"], "end_id"),
            _renamed(inputs["max_tokens"], "request_output_len"),
        ]
        prompt += [_renamed(inputs[name], RENAMED.get(name, name)) for name in PASSED if name in inputs]
        call = pb_utils.InferenceRequest(
            model_name="tensorrt_llm", inputs=prompt, requested_output_names=["output_ids", "sequence_length"] + METRICS
        )
        for response in call.exec(decoupled=True):
            generated = _outputs(response)
            if not generated:  # an empty final response
                continue
            if failure and not generated["sequence_length"].as_numpy().any():
                continue
            tokens = [
                _renamed(generated["output_ids"], "TOKENS_BATCH"),
                _renamed(generated["sequence_length"], "SEQUENCE_LENGTH"),
            ]
            text = _outputs(_call("postprocessing", tokens, ["OUTPUT"]))
            yield [_renamed(text["OUTPUT"], "text_output")] + [generated[m] for m in METRICS if m in generated]
        if failure:
            raise pb_utils.TritonModelException(failure)


def _call(model, inputs, outputs):
    return pb_utils.InferenceRequest(model_name=model, inputs=inputs, requested_output_names=outputs).exec()


def _outputs(response):
    if response.has_error():
        raise pb_utils.TritonModelException(response.error().message())
    return {tensor.name(): tensor for tensor in response.output_tensors()}


def _renamed(tensor, name):
    return pb_utils.Tensor(name, tensor.as_numpy())
