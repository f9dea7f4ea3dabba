"""The bare tensorrt_llm contract on vLLM's engine core, which runs in a worker child."""

import itertools
import json
import os
import pathlib
import subprocess
import threading

import triton_python_backend_utils as pb_utils
import trtllm_io

CANCEL_CHECK_SECONDS = 0.1  # cancellation_check_period_ms of TRT-LLM
CLOSE_SECONDS = 10


class TritonPythonModel:
    def initialize(self, args):
        parameters = {k: v["string_value"] for k, v in json.loads(args["model_config"])["parameters"].items()}
        model_dir = pathlib.Path(os.environ["ENGINEBENCH_MODEL_DIR"])
        self._max_tokens = int(parameters["max_seq_len"])
        self._vocabulary = json.loads((model_dir / "config.json").read_text())["vocab_size"]
        self._numbers = itertools.count(1)
        self._replies = {}
        self._lock = threading.Lock()  # guards _replies and writes to the worker
        self._closing = threading.Event()

        # Triton's libraries are not vLLM's.
        environment = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "PYTHONPATH")}
        self._worker = subprocess.Popen(
            [
                os.environ["ENGINEBENCH_WORKER_PYTHON"],
                str(pathlib.Path(__file__).with_name("worker.py")),
                "--model-dir=" + os.environ["ENGINEBENCH_MODEL_DIR"],
                "--max-model-len=" + parameters["max_seq_len"],
                "--max-num-seqs=" + parameters["max_num_seqs"],
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        if not self._worker.stdout.readline():
            raise pb_utils.TritonModelException("the vLLM worker ended before it was ready; its log is above")
        threading.Thread(target=self._read, name="answers", daemon=True).start()
        threading.Thread(target=self._watch_cancelled, name="cancel", daemon=True).start()

    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            try:
                generation = trtllm_io.parse(request, self._vocabulary, self._max_tokens)
            except trtllm_io.InvalidRequest as invalid:
                trtllm_io.Reply(sender, None).fail(str(invalid))
                continue
            reply = trtllm_io.Reply(sender, generation)
            message = {
                "id": next(self._numbers),
                "ids": generation.ids,
                "max_tokens": generation.max_tokens,
                "min_tokens": min(generation.min_tokens, generation.max_tokens),
                "end_id": generation.end_id,
                "seed": generation.seed,
                "temperature": generation.temperature,
                "top_k": generation.top_k,
                "top_p": generation.top_p,
            }
            with self._lock:
                self._replies[message["id"]] = reply
            try:
                self._tell(message)
            except OSError as gone:
                self._forget(message["id"])
                reply.fail(f"the vLLM worker is gone: {gone}")
        return None

    def finalize(self):
        self._closing.set()
        self._worker.stdin.close()
        try:
            self._worker.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._worker.kill()

    def _tell(self, message):
        line = json.dumps(message, separators=(",", ":")) + "\n"
        with self._lock:
            self._worker.stdin.write(line.encode())
            self._worker.stdin.flush()

    def _forget(self, number):
        with self._lock:
            self._replies.pop(number, None)

    def _read(self):
        for line in self._worker.stdout:
            answer = json.loads(line)
            with self._lock:
                reply = self._replies.get(answer["id"])
            if reply is None:  # cancelled in between
                continue
            if "error" in answer:
                reply.fail(answer["error"])
            else:
                reply.tokens(answer["ids"], answer["final"])
            if reply.done:
                self._forget(answer["id"])
        with self._lock:
            left, self._replies = self._replies, {}
        for reply in left.values():
            reply.fail("the vLLM worker ended")

    def _watch_cancelled(self):
        while not self._closing.wait(CANCEL_CHECK_SECONDS):
            with self._lock:
                open_replies = list(self._replies.items())
            for number, reply in open_replies:
                if reply.cancelled():
                    self._forget(number)
                    reply.end_cancelled()
                    try:
                        self._tell({"cancel": number})
                    except OSError:  # the worker ended, and with it the request
                        return
