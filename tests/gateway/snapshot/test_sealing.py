import threading
import time

import pytest

from gateway.snapshot.sealing import seal_pages


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_every_page_is_sealed_once(count):
    sealed = []
    seal_pages(sealed.extend, ([f"r{number}"] for number in range(count)))
    assert sorted(sealed) == sorted(f"r{number}" for number in range(count))


def test_pages_are_read_by_one_at_a_time_and_not_ahead_of_what_is_sealed():
    lock, reading, held, most = threading.Lock(), [0], [0], [0, 0]
    both = threading.Barrier(2)  # each page is sealed while another one is

    def pages():
        for number in range(20):
            with lock:
                reading[0] += 1
                most[0] = max(most[0], reading[0])
                held[0] += 1
                most[1] = max(most[1], held[0])
            time.sleep(0.001)
            with lock:
                reading[0] -= 1
            yield [f"r{number}"]

    def seal(_):
        both.wait(60)
        time.sleep(0.003)
        with lock:
            held[0] -= 1

    seal_pages(seal, pages())
    assert most == [1, 2]


@pytest.mark.parametrize("broken", [0, 1, 7])
def test_a_page_that_cannot_be_read_is_told(broken):
    def pages():
        for number in range(20):
            if number == broken:
                raise OSError("the database went away")
            yield [f"r{number}"]

    with pytest.raises(OSError, match="went away"):
        seal_pages(lambda _: None, pages())


@pytest.mark.parametrize("broken", ["r0", "r1", "r7"])
def test_a_page_that_cannot_be_sealed_is_told(broken):
    def seal(page):
        if broken in page:
            raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        seal_pages(seal, ([f"r{number}"] for number in range(20)))
