import threading
from concurrent.futures import ThreadPoolExecutor

from service.inference.turns import Turns


def queued(turns, count):
    """Wait until `count` threads sleep on the lock."""
    deadline = threading.Event()
    while len(turns._queue) < count:
        assert not deadline.wait(0.001)


def test_a_thread_in_a_loop_does_not_pass_the_one_that_waits():
    """Bug: /read took the lock for its next batch before the waiting /predict woke up."""
    turns, order = Turns(), []

    def predict():
        with turns:
            order.append("predict")

    with ThreadPoolExecutor(1) as pool:
        turns.acquire()
        waiting = pool.submit(predict)
        queued(turns, 1)
        for _ in range(3):
            turns.release()
            turns.acquire()
            order.append("read")
        turns.release()
        waiting.result(10)
    assert order == ["predict", "read", "read", "read"]


def test_threads_are_served_in_the_order_in_which_they_came():
    turns, order = Turns(), []

    def work(number):
        with turns:
            order.append(number)

    with ThreadPoolExecutor(5) as pool:
        turns.acquire()
        for number in range(5):
            pool.submit(work, number)
            queued(turns, number + 1)
        turns.release()
    assert order == [0, 1, 2, 3, 4]


def test_a_thread_may_take_it_twice_and_has_it_until_it_gave_it_back_twice():
    turns = Turns()
    with ThreadPoolExecutor(1) as pool:
        with turns:
            with turns:
                assert not pool.submit(turns.acquire, False).result(10)
            assert not pool.submit(turns.acquire, False).result(10)
        assert pool.submit(turns.acquire, False).result(10)


def test_only_one_thread_has_it():
    turns, inside, most = Turns(), [], []

    def work():
        for _ in range(200):
            with turns:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(work)
    assert set(most) == {1} and len(most) == 8 * 200
