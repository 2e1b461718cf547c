"""A server of a real model: llama.cpp's, by the package xllamacpp. Run as a script by a Python that has it.

Arguments: the file of the weights, the tokens of its context, those that an answer has at most, and whether
the model may end before (1) or not (0). It prints its URL, and ends with its input.
"""

import sys

import xllamacpp


def parameters(weights: str, context_tokens: int, answer_tokens: int, may_end: int) -> xllamacpp.CommonParams:
    made = xllamacpp.CommonParams()
    made.model.path = weights
    made.hostnames = ["127.0.0.1"]
    made.port = 0  # any that is free
    made.n_parallel = 1  # one answer at a time: the next one begins when this one has ended
    made.n_ctx = context_tokens
    made.n_predict = answer_tokens
    made.sampling.ignore_eos = not may_end
    return made


def main() -> None:
    weights, *numbers = sys.argv[1:]
    server = xllamacpp.Server(parameters(weights, *map(int, numbers)))
    print(server.listening_address, flush=True)  # noqa: T201 - its caller reads it
    sys.stdin.read()


if __name__ == "__main__":
    main()
