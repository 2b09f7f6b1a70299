"""Read what `torch.save` wrote, a pickle of foreign classes, without executing what it contains.

A pickle is a program for a stack machine, and Python's own machine calls whatever the program names. The one
here (`_run`) calls nothing: it knows containers, numbers, strings and torch's tensors, and puts an inert
`Placeholder` in the place of every other function, class and instance.
"""

from __future__ import annotations

import io
import math
import os
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.paths import as_path

MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of torch's file format before 1.6
PROTOCOL = 1001  # the second
STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "BFloat16Storage": torch.bfloat16,
}


class Placeholder:
    """Stands for a function, a class or an instance that we do not have; does nothing.

    Attributes:
        name: "module.name" of the function or class; empty for what a call returned.
    """

    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name or 'instance'}, not read>"


class _Damaged(Exception):
    """The file is not what it should be; the text says why."""


def read_foreign_pickle(path: str | os.PathLike[str]) -> Any:
    """Read what `torch.save` wrote without executing any of it.

    Returns:
        Dictionaries, lists, tuples, numbers, strings, bytes and tensors, nested; `Placeholder` for the rest.

    Raises:
        CheckpointError: no such file, or not one that `torch.save` wrote, whole.
    """
    path = as_path(path, "the weights file")
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise CheckpointError(f"the weights file {path} {what}; give a file that torch.save wrote")
    try:
        data = path.read_bytes()
        return _read_zip(data) if data.startswith(b"PK") else _read_legacy(data)
    except _Damaged as error:
        raise CheckpointError(f"{path} is damaged or unsafe ({error}); get a fresh copy") from error
    except Exception as error:  # a hostile file may raise anything in the parsers of the standard library
        reason = f"{path} is damaged or not a file of torch.save ({type(error).__name__})"
        raise CheckpointError(f"{reason}; get a fresh copy") from error


def is_foreign(start: bytes) -> bool:
    """Whether a file that begins so is one of `torch.save`: a zip, or a pickle of protocol 2 or later."""
    return start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"))


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The named tensors in a file of `torch.save`, as programs of training write it.

    They may lie under a name of their own, beside other things, and be those of a network that was trained on several
    GPUs, whose names all begin with "module.".

    Raises:
        CheckpointError: no such file, not one that `torch.save` wrote, whole, or without named tensors.
    """
    state = read_foreign_pickle(path)
    if isinstance(state, dict):
        inner = (state.get(name) for name in ("net", "state_dict", "model"))
        state = next((part for part in inner if isinstance(part, dict)), state)
    if not isinstance(state, dict) or not all(type(k) is str and isinstance(v, Tensor) for k, v in state.items()):
        raise CheckpointError(f"{path} has no state dict of named tensors; check that it is the right file")
    if all(name.startswith("module.") for name in state):
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return state


# --- torch's two file formats -----------------------------------------------------------------------------


class _Storages:
    """The flat tensors that a pickle names by key; their bytes arrive once the pickle has been run."""

    def __init__(self, bytes_left: int) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._bytes_left = bytes_left

    def load(self, identifier: object) -> Tensor | Placeholder:
        """Answer a persistent id of torch: ("storage", class, key, location, numel[, None])."""
        match identifier:
            case ("module", *_):
                return Placeholder()
            case ("storage", Placeholder(name=name), str(key), str(), int(count), *v) if v in ([], [None]):
                module, _, kind = name.rpartition(".")
            case _:
                raise _Damaged("a storage that torch does not write")
        if module not in ("torch", "torch.cuda") or kind not in STORAGES:
            raise _Damaged(f"a storage of the unknown type {name[:80]}")
        dtype = STORAGES[kind]
        if key not in self.tensors:
            size = count * dtype.itemsize
            if not 0 <= size <= self._bytes_left:
                raise _Damaged("its storages are larger than the file")
            self._bytes_left -= size
            self.tensors[key] = torch.empty(count, dtype=dtype, device="cpu")
        tensor = self.tensors[key]
        if tensor.dtype != dtype or tensor.numel() != count:
            raise _Damaged(f"two sizes of storage {key[:80]}")
        return tensor

    def fill(self, key: str, data: bytes) -> None:
        """Put in the bytes of a storage, little-endian."""
        target = self.tensors[key].view(torch.uint8)
        if len(data) != target.numel():
            raise _Damaged(f"storage {key[:80]} is cut short or too long")
        if len(data):
            target.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))


def _read_zip(data: bytes) -> Any:
    """torch >= 1.6: a zip file with NAME/data.pkl and NAME/data/KEY."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        roots = [Path(name).parent for name in entries if Path(name).name == "data.pkl"]
        if len(roots) != 1:
            raise _Damaged("a zip file without a single data.pkl")
        root = roots[0].as_posix()
        if any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()):
            raise _Damaged("compressed, which torch never does")
        if f"{root}/byteorder" in entries and archive.read(f"{root}/byteorder") != b"little":
            raise _Damaged("big-endian numbers")
        storages = _Storages(len(data))
        result = _run(io.BytesIO(archive.read(f"{root}/data.pkl")), storages)
        for key in storages.tensors:
            storages.fill(key, archive.read(f"{root}/data/{key}"))
    return result


def _read_legacy(data: bytes) -> Any:
    """torch < 1.6: pickles of magic number, version, system, object and keys; then the storages."""
    file = io.BytesIO(data)
    storages = _Storages(len(data))
    if _run(file, storages) != MAGIC or _run(file, storages) != PROTOCOL:
        raise _Damaged("not torch's magic number")
    system = _run(file, storages)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _Damaged("big-endian numbers")
    result = _run(file, storages)
    keys = _run(file, storages)
    if not isinstance(keys, list) or sorted(keys) != sorted(storages.tensors):
        raise _Damaged("storages that do not belong to the pickle")
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        tensor = storages.tensors[key]
        if count != tensor.numel():
            raise _Damaged(f"two sizes of storage {key[:80]}")
        storages.fill(key, file.read(count * tensor.dtype.itemsize))
    return result


# --- the stack machine ------------------------------------------------------------------------------------


def _run(file: io.BytesIO, storages: _Storages) -> Any:
    """Run one pickle to its end and leave the file behind it; nothing on the stack is ever called."""
    stack: list[Any] = []
    below: list[list[Any]] = []  # what lies under each mark
    memo: dict[Any, Any] = {}
    for opcode, argument, _ in pickletools.genops(file):
        operands, count = [], len(opcode.stack_before)
        if pickletools.markobject in opcode.stack_before:  # takes all above the mark, and `count` below it
            operands, stack = stack, below.pop()
            count = opcode.stack_before.index(pickletools.markobject)
        if count > len(stack):
            raise _Damaged("its stack runs empty")
        operands = stack[len(stack) - count :] + operands
        del stack[len(stack) - count :]
        match opcode.name:
            case "STOP":
                return operands[0]
            case "MARK":
                below.append(stack)
                stack = []
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = operands[0]
                stack += operands
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "DUP":
                stack += operands * 2
            case name if opcode.stack_after:
                stack.append(_evaluate(name, argument, operands, storages))
    raise _Damaged("it has no end")


def _evaluate(opcode: str, argument: Any, operands: list[Any], storages: _Storages) -> Any:
    """What an operation leaves on the stack."""
    match opcode:
        case "NONE" | "NEWTRUE" | "NEWFALSE":
            return {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode]
        case "EMPTY_LIST" | "LIST":
            return operands
        case "EMPTY_TUPLE" | "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
            return tuple(operands)
        case "APPEND" | "APPENDS":
            if isinstance(operands[0], list):  # else an instance that takes items: nothing happens
                operands[0].extend(operands[1:])
            return operands[0]
        case "EMPTY_DICT" | "DICT":
            return _with_items({}, operands)
        case "SETITEM" | "SETITEMS":
            return _with_items(operands[0], operands[1:])
        case "BUILD" | "ADDITEMS":
            return operands[0]
        case "GLOBAL":
            return Placeholder(argument.replace(" ", "."))
        case "STACK_GLOBAL":
            return Placeholder(".".join(operands))
        case "REDUCE":
            return _call(*operands)
        case "BINPERSID":
            return storages.load(operands[0])
        case "INST" | "OBJ" | "NEWOBJ" | "NEWOBJ_EX" | "EMPTY_SET" | "FROZENSET" | "EXT1" | "EXT2" | "EXT4":
            return Placeholder()
        case "PERSID" | "NEXT_BUFFER" | "READONLY_BUFFER":
            raise _Damaged(f"torch does not write {opcode}")
    return argument  # numbers, strings, bytes


def _with_items(target: Any, items: list[Any]) -> Any:
    for key in items[::2]:
        # Any other key could be a tuple so deep that Python's own hash() overruns the stack.
        if not isinstance(key, str | bytes | int | float | Placeholder | None):
            raise _Damaged("a dictionary with unusual keys")
    if isinstance(target, dict):
        target.update(zip(items[::2], items[1::2], strict=True))
    return target


def _call(function: Any, arguments: Any) -> Any:
    """What is left of a call: torch's tensors and their like are made here, all others are not."""
    match function.name if isinstance(function, Placeholder) else "", arguments:
        case "torch._utils._rebuild_tensor_v2", (storage, offset, size, stride, *_):
            return _view(storage, offset, size, stride)
        case "torch._utils._rebuild_parameter", (Tensor() as data, *_):
            return data
        case "torch.Size", (tuple() as size,):
            return size
        case "collections.OrderedDict", ():
            return {}
    return Placeholder()


def _view(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """A tensor over a storage, where it lies inside it and repeats none of it."""
    if not (isinstance(storage, Tensor) and isinstance(size, tuple) and isinstance(stride, tuple)):
        raise _Damaged("a tensor that torch does not write")
    sane = all(type(n) is int and 0 <= n < 2**40 for n in (offset, *size, *stride))
    if not sane or len(size) != len(stride) or len(size) > 8:
        raise _Damaged("a tensor of an impossible shape")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) > storage.numel() or (math.prod(size) > 0 and last >= storage.numel()):
        raise _Damaged("a tensor that is larger than its storage")
    return storage.as_strided(size, stride, offset) if math.prod(size) else storage.new_empty(size)
