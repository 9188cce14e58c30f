import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.snapshot.bitmap import Bitmap, pack

FLAGS = st.lists(st.booleans(), min_size=1, max_size=200).map(np.array)


def rows_of(*numbers: int):
    return np.array(numbers, dtype=np.int64)


@settings(deadline=None)
@given(FLAGS, st.data())
def test_is_a_set_of_rows(flags, data):
    bitmap = Bitmap(pack(flags), len(flags))
    model = flags.copy()
    some = st.lists(st.integers(0, len(flags) - 1), max_size=20)
    for _ in range(3):
        cleared, restored = rows_of(*data.draw(some)), rows_of(*data.draw(some))
        bitmap.clear(cleared)
        model[cleared] = False
        bitmap.restore(restored)
        model[restored] = flags[restored]
    everything = np.arange(len(flags))
    assert bitmap.test(everything).tolist() == model.tolist()
    first = data.draw(st.integers(0, len(flags)))
    count = data.draw(st.integers(0, len(flags) - first))
    assert bitmap.test_slice(first, count).tolist() == model[first : first + count].tolist()


def test_restoring_never_goes_beyond_what_was_admitted():
    bitmap = Bitmap(pack(np.array([False, True])), 2)
    bitmap.restore(rows_of(0, 1))
    assert bitmap.test(rows_of(0, 1)).tolist() == [False, True]


def test_takes_one_bit_a_row_of_memory():
    assert Bitmap(pack(np.ones(80_000, np.bool_)), 80_000).nbytes == 10_000


def test_writers_of_one_byte_do_not_undo_each_other():
    bitmap = Bitmap(pack(np.ones(8 * 64, np.bool_)), 8 * 64)

    def clear(bit: int) -> None:
        for byte in range(64):
            bitmap.clear(rows_of(byte * 8 + bit))

    writers = [threading.Thread(target=clear, args=(bit,)) for bit in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not bitmap.test(np.arange(8 * 64)).any()
