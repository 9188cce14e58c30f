import asyncio

from gateway.store.signal import ChangeSignal


def test_a_raise_is_read_by_everyone(tmp_path):
    one, two = ChangeSignal.open(tmp_path / "s"), ChangeSignal.open(tmp_path / "s")
    before = two.read()
    one.raise_it()
    assert two.read() != before
    assert two.read() == one.read()
    one.close()
    two.close()


async def test_a_raise_wakes_who_watches(tmp_path):
    one, two = ChangeSignal.open(tmp_path / "s"), ChangeSignal.open(tmp_path / "s")
    watch, woken = two.watch(), asyncio.Event()
    assert watch is not None, "this system has inotify"
    loop = asyncio.get_running_loop()
    loop.add_reader(watch.descriptor, lambda: (watch.drain(), woken.set()))
    one.raise_it()
    await asyncio.wait_for(woken.wait(), 60)
    woken.clear()
    await asyncio.sleep(0.01)
    assert not woken.is_set()
    loop.remove_reader(watch.descriptor)
    watch.close()
    one.close()
    two.close()
