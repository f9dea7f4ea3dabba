"""Hosts vLLM's engine core for the Triton model beside it.

Runs under the python of the vLLM installation, as a child of Triton's Python
backend stub, whose embedded python cannot import vLLM. One JSON object a line:

    stdin   {"id": 7, "ids": [...], "max_tokens": 64, "min_tokens": 0, "end_id": -1,
             "seed": 0, "temperature": 0.0, "top_k": 0, "top_p": 1.0}
            {"cancel": 7}
    stdout  {"ready": true, "version": "0.32.0"}        once
            {"id": 7, "ids": [...], "final": false}      the new ids of one engine step
            {"id": 7, "error": "..."}                    ends the request

It ends when its stdin ends, so it does not outlive the stub.
"""

import argparse
import asyncio
import json
import os
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", required=True)
    parser.add_argument("--max-model-len", type=int, required=True)
    parser.add_argument("--max-num-seqs", type=int, required=True)
    args = parser.parse_args()

    # Only answers may go to the pipe: what vLLM prints goes to the log.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    asyncio.run(serve(args, answers))


async def serve(args, answers):
    import vllm
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    engine = AsyncLLM.from_engine_args(
        AsyncEngineArgs(
            model=args.model_dir,
            load_format="dummy",
            enforce_eager=True,
            distributed_executor_backend="uni",
            max_model_len=args.max_model_len,
            max_num_seqs=args.max_num_seqs,
            disable_log_stats=True,
        )
    )
    loop = asyncio.get_running_loop()
    requests = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    answer(answers, ready=True, version=vllm.__version__)
    tasks = {}
    try:
        while line := await requests.readline():
            message = json.loads(line)
            if "cancel" in message:
                # Cancelling the task closes the generator, which aborts the
                # request in the engine.
                if task := tasks.get(message["cancel"]):
                    task.cancel()
                continue
            task = asyncio.create_task(generate(engine, message, answers))
            tasks[message["id"]] = task
            task.add_done_callback(lambda _, number=message["id"]: tasks.pop(number))
    finally:
        engine.shutdown()


async def generate(engine, message, answers):
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    number = message["id"]
    try:
        sampling = SamplingParams(
            max_tokens=message["max_tokens"],
            min_tokens=message["min_tokens"],
            # The contract knows one end id, which the request names: the
            # model's own is ignored, -1 means none.
            ignore_eos=True,
            stop_token_ids=[message["end_id"]] if message["end_id"] >= 0 else None,
            seed=message["seed"] or None,
            temperature=message["temperature"],
            top_k=message["top_k"],
            top_p=message["top_p"] if message["top_p"] > 0 else 1.0,
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )
        prompt = {"prompt_token_ids": message["ids"]}
        async for output in engine.generate(prompt, sampling, request_id=str(number)):
            answer(answers, id=number, ids=list(output.outputs[0].token_ids), final=output.finished)
    except asyncio.CancelledError:
        raise
    except Exception as failed:  # every failure must end the request, whatever vLLM raises
        answer(answers, id=number, error=f"{type(failed).__name__}: {failed}")


def answer(answers, **fields):
    answers.write(json.dumps(fields, separators=(",", ":")) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
