"""A report of any process that a test started fails the test, whatever became of the process and its output."""
import glob
from harness import *

if len(sys.argv) > 1:  # the test under test
    def test_that_ignores_its_process():
        run([os.path.join(BUILD, "test", "interop", "sanitizer_probe")], check=False)

    main(test_that_ignores_its_process) if sys.argv.pop() == "main" else test_that_ignores_its_process()
    sys.exit(0)


def test_reports_fail_tests():
    if not SANITIZER:
        skip("not a sanitizer's build")
    for how in ("main", "plain"):  # judged by main(), or at the exit of a program with a main of its own
        done = run([sys.executable, __file__, how], check=False)
        assert done.returncode == 1 and f"{SANITIZER.capitalize()}Sanitizer" in done.stdout + done.stderr, (how, done)
    for folder in glob.glob(os.path.join(BUILD, "sanitizer_reports", "test_sanitizer_reports.*")):
        if not folder.endswith(f".{os.getpid()}"):
            shutil.rmtree(folder)  # the wanted ones


main(test_reports_fail_tests)
