"""A differential run of our broker against Apache Kafka 3.9, as small as every test run can bear; differential_kafka.py runs larger
ones. --full: 50,000 requests of a fresh seed. OTTLA_SEED and OTTLA_REQUESTS choose others.

A difference is one that the same seed shows twice, at the same place: the threads of Apache's server may run in another order once."""
import re
from harness import *
import differential_kafka

SEED = int(os.environ.get("OTTLA_SEED", int(time.time()) if FULL else 1))
REQUESTS = int(os.environ.get("OTTLA_REQUESTS", 50000 if FULL else 2000))


def differences():
    stacks = differential_kafka.Stacks()
    done = stacks.run(SEED, REQUESTS, timeout=3000 if FULL else 200, quiet=True)
    stacks.stop()
    print(done.stdout, flush=True)
    assert done.returncode in (0, 1), f"{differential_kafka.program()} exited with {done.returncode}"
    return set(re.findall(r"^DIFFERENCE (.*)$", done.stdout, re.M))


def test_run():
    found = differences()
    if found:
        again = found & differences()
        assert not again, f"found twice: {again}"
        print("not found again", flush=True)


main(test_run)
