"""A small differential run of our broker against Apache Kafka 3.9; differential_kafka.py runs larger ones."""
from harness import *
import differential_kafka


def test_small_run():
    program = differential_kafka.program()
    stacks = differential_kafka.Stacks()
    done = stacks.run(int(os.environ.get("OTTLA_SEED", "1")), int(os.environ.get("OTTLA_REQUESTS", "4000")))
    assert done.returncode == 0, f"{program} found differences"


main(test_small_run)
