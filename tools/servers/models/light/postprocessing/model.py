"""Ids to text with the toy tokenizer, each response decoded by itself."""

import numpy as np
import toy
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self._answer(request) for request in requests]

    @staticmethod
    def _answer(request):
        ids = pb_utils.get_input_tensor_by_name(request, "TOKENS_BATCH").as_numpy().reshape(-1)
        text = toy.decode(i for i in ids.tolist() if i != toy.END_ID)
        output = np.array([[text.encode()]], dtype=np.object_)
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", output)])
