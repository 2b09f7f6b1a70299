"""Modules compiled by OpenVINO, in bfloat16 where the processor has it."""

from __future__ import annotations

import ctypes
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from d3s_vot.compute.timing import stage
from d3s_vot.errors import InputError


class Compiled(nn.Module):
    """A module compiled by OpenVINO for the shapes of its examples; called with tensors like them, by any thread.

    Args:
        name: of the module, for the stopwatch.
        module: a function of tensors, to one tensor or a tuple of several.
        examples: its inputs, of as many items (their first dimension) as are fast at once; that many go through
            together, and what is left over one by one.

    Raises:
        InputError: OpenVINO is not installed, or cannot compile for this processor.
    """

    def __init__(self, name: str, module: nn.Module, examples: tuple[Tensor, ...]) -> None:
        super().__init__()
        self._at_once = len(examples[0])
        self._whole = _Network(module, examples)
        self._single = self._whole
        if self._at_once > 1:
            self._single = _Network(module, tuple(example[:1] for example in examples))
        self._run = stage(name)(self._chunks)

    def forward(self, *inputs: Tensor) -> Any:
        outputs = self._run(*inputs)
        return outputs if len(outputs) > 1 else outputs[0]

    def _chunks(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if len(inputs[0]) == self._at_once:
            return self._whole(*inputs)
        found: list[tuple[Tensor, ...]] = []
        for chunk in zip(*(each.split(self._at_once) for each in inputs), strict=True):
            if len(chunk[0]) == self._at_once:
                found.append(self._whole(*chunk))
            else:
                found.extend(self._single(*one) for one in zip(*(each.split(1) for each in chunk), strict=True))
        return tuple(map(torch.cat, zip(*found, strict=True)))


class _Network:
    """A module compiled for inputs of fixed shapes."""

    def __init__(self, module: nn.Module, examples: tuple[Tensor, ...]) -> None:
        # OpenVINO reports its use to its makers; without this package it does not.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        try:
            import openvino
        except ImportError as error:
            raise InputError("the preset fast needs OpenVINO on a CPU; install d3s-vot[fast]") from error
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        shapes = [tuple(example.shape) for example in examples]
        with warnings.catch_warnings(), _signal_stack_kept():
            warnings.simplefilter("ignore", FutureWarning)  # of torch's tracer, which OpenVINO uses
            try:
                graph = openvino.convert_model(module.eval(), example_input=examples, input=shapes)
                self._network = openvino.Core().compile_model(graph, "CPU", settings)
            except RuntimeError as error:
                reason = str(error).strip().rpartition("\n")[2]
                raise InputError(
                    f"the preset fast cannot be had on this processor, OpenVINO fails to compile ({reason}); "
                    "use the preset exact"
                ) from error
        self._own = threading.local()  # a request serves one thread at a time

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        request = getattr(self._own, "request", None)
        if request is None:
            with _signal_stack_kept():
                request = self._own.request = self._network.create_infer_request()
        outputs = request.infer([x.numpy() for x in inputs], share_inputs=True)
        # Copies: the next call writes over the request's outputs.
        return tuple(torch.from_numpy(outputs[place].copy()) for place in range(len(outputs)))


class _SignalStack(ctypes.Structure):
    """C's stack_t."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def _signal_stack_kept() -> Iterator[None]:
    """This thread's stack for signals stays: OpenVINO leaves one that is gone, and Ctrl-C would crash."""
    exchange = getattr(ctypes.CDLL(None), "sigaltstack", None)
    if exchange is None:
        yield
        return
    before = _SignalStack()
    exchange(None, ctypes.byref(before))
    try:
        yield
    finally:
        exchange(ctypes.byref(before), None)
