"""System calls of this process that the kernel itself refuses from now on, without strace or root.

A filter (seccomp) answers the named calls with an error number before they do anything. It
can't be taken back and is inherited, so only a child made for the purpose installs one.
"""

import ctypes
import os
import platform
import struct

# Linux numbers its calls per architecture: (audit architecture, call name to number).
_TABLES = {
    "x86_64": (0xC000003E, {
        "write": 1, "pwrite64": 18, "fsync": 74, "fdatasync": 75, "ftruncate": 77,
        "rename": 82, "mkdir": 83, "link": 86, "openat": 257, "linkat": 265, "fallocate": 285,
    }),
    "aarch64": (0xC00000B7, {
        "write": 64, "pwrite64": 68, "fsync": 82, "fdatasync": 83, "ftruncate": 46,
        "renameat": 38, "mkdirat": 34, "linkat": 37, "openat": 56, "fallocate": 47,
    }),
}  # fmt: skip
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_ALL_THREADS = 1
_SYSCALL_NUMBER = {"x86_64": 317, "aarch64": 277}
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_AT_NUMBER, _AT_ARCHITECTURE, _AT_FLAGS = 0, 4, 32
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# Pipes of the harness stay usable: calls on the lowest descriptors are never refused.
_AT_DESCRIPTOR, _LOWEST_FILE = 16, 3
_AT_LEAST = 0x35


def supported() -> bool:
    """Tell whether this machine's calls are known here."""
    return platform.system() == "Linux" and platform.machine() in _TABLES


def refuse(error: int, *calls: str, descriptor: int | None = None) -> None:
    """Let calls of all threads of this process fail from now on.

    Args:
        error: Error number, for example `errno.EIO`.
        *calls: Names of calls, those unknown on this architecture left out. `openat` is
            refused only where the file would be written or made; calls on descriptors
            0 to 2 are let through.
        descriptor: Refuse only calls on this one.
    """
    architecture, numbers = _TABLES[platform.machine()]
    program = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for call in calls:
        if call not in numbers:
            continue
        if call == "openat":
            check = [(_LOAD, 0, 0, _AT_FLAGS), (_ANY_BIT, 0, 1, _WRITES)]
        elif call in {"write", "pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate"}:
            least = (_AT_LEAST, 0, 1, _LOWEST_FILE)
            only = least if descriptor is None else (_EQUAL, 0, 1, descriptor)
            check = [(_LOAD, 0, 0, _AT_DESCRIPTOR), only]
        else:
            check = []
        # Where it is another call, jump over the check and the refusal.
        program += [(_LOAD, 0, 0, _AT_NUMBER), (_EQUAL, 0, len(check) + 1, numbers[call])]
        program += [*check, (_RETURN, 0, 0, _ERROR | error)]
    program.append((_RETURN, 0, 0, _ALLOW))
    _install(program)


def _install(program: list[tuple[int, int, int, int]]) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    number = _SYSCALL_NUMBER[platform.machine()]
    if libc.syscall(number, _SECCOMP_SET_MODE_FILTER, _ALL_THREADS, header):
        raise OSError(ctypes.get_errno(), "seccomp")
