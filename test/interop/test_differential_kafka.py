"""A differential run of our broker against Apache Kafka 3.9, as small as every test run can bear; differential_kafka.py runs larger
ones. --full: 50,000 requests of a fresh seed. OTTLA_SEED and OTTLA_REQUESTS choose others."""
from harness import *
import differential_kafka

SEED = int(os.environ.get("OTTLA_SEED", int(time.time()) if FULL else 1))
REQUESTS = int(os.environ.get("OTTLA_REQUESTS", 50000 if FULL else 2000))


def test_run():
    stacks = differential_kafka.Stacks()
    done = stacks.run(SEED, REQUESTS, "--keep-going", timeout=3000 if FULL else 200)
    assert done.returncode == 0, f"{differential_kafka.program()} exited with {done.returncode}"


main(test_run)
