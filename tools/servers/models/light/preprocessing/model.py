"""Text to ids with the toy tokenizer."""

import numpy as np
import toy
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self._answer(request) for request in requests]

    @staticmethod
    def _answer(request):
        text = pb_utils.get_input_tensor_by_name(request, "QUERY").as_numpy().reshape(-1)[0]
        ids = toy.encode(text.decode())
        if not ids:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("text_input is empty"))
        end_id = pb_utils.get_input_tensor_by_name(request, "END_ID")
        end_id = toy.END_ID if end_id is None else end_id.as_numpy().reshape(-1)[0]
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("INPUT_ID", np.array([ids], dtype=np.int32)),
                pb_utils.Tensor("REQUEST_INPUT_LEN", np.array([[len(ids)]], dtype=np.int32)),
                pb_utils.Tensor("OUT_END_ID", np.array([[end_id]], dtype=np.int32)),
            ]
        )
