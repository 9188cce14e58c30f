"""The embedded engine: OPA's compiled policy on wasmtime.

`opa-py-wasm` instantiates the module and checks its ABI; each evaluation then makes one call into
WebAssembly (`opa_eval`) instead of the five of its pool, and makes it through wasmtime's C
interface, because a call of seven arguments through its Python one takes as long as the decision
itself (60 us, measured). The input is written straight behind the policy's data, and the heap
pointer given to `opa_eval` starts behind the input, so an evaluation leaves nothing behind.

An instance is used by one thread at a time: a lock guards it. One decision takes a tenth of a
millisecond, so it runs on the event loop; a deadline enforced by wasmtime's epochs ends one that
doesn't.
"""

import ctypes
import json
import threading

import wasmtime
from opapywasm import errors as opa_errors
from opapywasm.abi import OpaAbi
from opapywasm.memory import MemoryCodec
from opapywasm.runtime import WasmtimeRuntime, WasmtimeRuntimeFactory

# The C interface of the pinned wasmtime; its Python wrapper asks for the type of the function
# and converts each argument on every call.
from wasmtime import _ffi as ffi
from wasmtime._func import enter_wasm

from gateway.decision.bundle import ENTRY_POINT, Bundle
from gateway.domain.errors import UnavailableError

_MEMORY_PAGES = 256  # 16 MiB of 64 KiB pages: a decision needs under 1 MiB
_PAGE_BYTES = 64 * 1024
_MAX_DOCUMENT_BYTES = 1 << 20  # input, data or answer
_USUAL_ANSWER_BYTES = 1 << 14  # read first; the limit only when no end is found in it
_ALIGNMENT = 8
_SCRATCH_BYTES = 512 * 1024  # grown once, so that no evaluation grows memory in between
_FAILURES = (
    wasmtime.Trap,
    wasmtime.WasmtimeError,
    opa_errors.OpaWasmError,
    ValueError,
    TypeError,
    KeyError,
)


class WasmEngine:
    """Evaluates the compiled policy in this process; see `gateway.decision.engine.Engine`.

    Args:
        bundle: The verified bundle.
        deadline_ms: Longest time of one evaluation, rounded up to 10 ms.
    """

    def __init__(self, bundle: Bundle, *, deadline_ms: int = 50) -> None:
        self._data = bundle.data
        # Guards what is below and is held for one evaluation.
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._factory = WasmtimeRuntimeFactory(bundle.wasm, max_memory_pages=_MEMORY_PAGES)
            self._instance: _Instance | None = self._new_instance()
        except _FAILURES as error:
            raise UnavailableError("POLICY_MISMATCH", "the compiled policy is unusable") from error
        self._ticks = self._factory.epoch.deadline_ticks(deadline_ms / 1000)
        self._factory.epoch.ensure_running()

    async def evaluate(self, document: bytes) -> object:
        """Return the answer to one input.

        Raises:
            UnavailableError: `POLICY_UNAVAILABLE` when the policy traps, runs out of time or
                memory, or answers with something that is not JSON; the next call gets a fresh
                instance. `POLICY_UNDEFINED` when it has no answer.
        """
        return self.evaluate_now(document)

    def evaluate_now(self, document: bytes) -> object:
        """Do what `evaluate` does, for callers outside an event loop."""
        with self._lock:
            if self._closed:
                raise UnavailableError("POLICY_UNAVAILABLE", "the policy engine is closed")
            try:
                instance = self._instance or self._new_instance()
                self._instance = None  # a failure below leaves no half-used instance behind
                answer = json.loads(instance.evaluate(document, self._ticks).decode())
                self._instance = instance
            except _FAILURES as error:
                raise UnavailableError(
                    "POLICY_UNAVAILABLE", "the embedded policy engine failed"
                ) from error
        return result_of(answer)

    async def close(self) -> None:
        """Stop the epoch thread and free the instance."""
        with self._lock:
            if self._instance is not None:
                self._instance.close()
            self._instance, self._closed = None, True
            self._factory.close()

    def _new_instance(self) -> "_Instance":
        return _Instance(self._factory.create_runtime(), self._data)


def result_of(answer: object) -> object:
    """Return the one result of a result set.

    Raises:
        UnavailableError: `POLICY_UNDEFINED` when the set is empty.
    """
    match answer:
        case [{"result": result}]:
            return result
        case _:
            raise UnavailableError("POLICY_UNDEFINED", "the policy has no answer to this request")


class _EvalCall:
    """The call `opa_eval(0, entry, data, input, length, heap, 0)`, its arguments laid out once."""

    def __init__(self, function: wasmtime.Func, entry: int, data_address: int) -> None:
        self._function = function._func  # noqa: SLF001 - see the import of `ffi`
        self._arguments = (ffi.wasmtime_val_t * 7)()
        self._result = (ffi.wasmtime_val_t * 1)()
        for value in self._arguments:
            value.kind = ffi.WASMTIME_I32
        self._arguments[1].of.i32 = entry
        self._arguments[2].of.i32 = data_address

    def __call__(self, store: wasmtime.Store, start: int, length: int, scratch: int) -> int:
        arguments = self._arguments
        arguments[3].of.i32, arguments[4].of.i32 = start, length
        arguments[5].of.i32 = scratch
        with enter_wasm(store) as trap:
            error = ffi.wasmtime_func_call(
                store._context(),  # noqa: SLF001
                ctypes.byref(self._function),
                arguments,
                len(arguments),
                self._result,
                1,
                trap,
            )
            if error:  # type: ignore[truthy-bool]  # a NULL pointer is false
                raise wasmtime.WasmtimeError._from_ptr(error)  # noqa: SLF001
        return int(self._result[0].of.i32)


class _Instance:
    """One instantiated module with the data loaded; owned by the engine's lock."""

    def __init__(self, runtime: WasmtimeRuntime, data: bytes) -> None:
        self._runtime = runtime
        abi = OpaAbi(runtime)
        codec = MemoryCodec(
            abi,
            max_input_bytes=_MAX_DOCUMENT_BYTES,
            max_data_bytes=_MAX_DOCUMENT_BYTES,
            max_result_bytes=_MAX_DOCUMENT_BYTES,
            max_cstring_scan_bytes=_MAX_DOCUMENT_BYTES,
        )
        if codec.decode_builtins():
            # A builtin of the host would be code outside the bundle's digest.
            raise ValueError("the policy needs a builtin that is not part of the module")
        self._entry = codec.decode_entrypoints()[ENTRY_POINT]
        self._data_address = codec.python_to_opa_value(data, limit=_MAX_DOCUMENT_BYTES, kind="data")
        heap = abi.opa_heap_ptr_get()
        self._input_address = -(-heap // _ALIGNMENT) * _ALIGNMENT
        self._store, self._memory = runtime.store, runtime.memory
        self._call = _EvalCall(runtime.get_func("opa_eval"), self._entry, self._data_address)
        # Place and size of the memory, asked for anew only when it has grown: it moves at no
        # other time, and each question costs 2 us.
        self._base = self._size = 0
        self._reserve(self._input_address + _SCRATCH_BYTES)

    def evaluate(self, document: bytes, ticks: int) -> bytes:
        """Return the JSON text of the result set.

        Raises:
            ValueError: When input or answer is larger than the limit.
            wasmtime.Trap: When the policy traps or runs out of time.
        """
        if len(document) > _MAX_DOCUMENT_BYTES:
            raise ValueError("the input is larger than the limit")
        start = self._input_address
        scratch = -(-(start + len(document)) // _ALIGNMENT) * _ALIGNMENT
        if scratch + _SCRATCH_BYTES > self._size:
            self._reserve(scratch + _SCRATCH_BYTES)
        ctypes.memmove(self._base + start, document, len(document))
        self._store.set_epoch_deadline(ticks)
        address = self._call(self._store, start, len(document), scratch)
        if self._memory.data_len(self._store) != self._size:
            self._locate()
        base, size = self._base, self._size
        if not 0 < address < size:
            raise ValueError("the policy answered with an address outside its memory")
        for limit in (_USUAL_ANSWER_BYTES, _MAX_DOCUMENT_BYTES):
            answer = ctypes.string_at(base + address, min(size - address, limit))
            end = answer.find(b"\0")
            if end >= 0:
                return answer[:end]
        raise ValueError("the answer is larger than the limit")

    def close(self) -> None:
        """Free the native memory."""
        self._runtime.close()

    def _reserve(self, size: int) -> None:
        missing = size - self._memory.data_len(self._store)
        if missing > 0:
            self._memory.grow(self._store, -(-missing // _PAGE_BYTES))
        self._locate()

    def _locate(self) -> None:
        self._base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
        self._size = self._memory.data_len(self._store)
