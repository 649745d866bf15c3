"""What sanitizers say of the processes that a test starts. Each writes its reports to a file named after its process, so that
none is lost: of a daemon, of a command whose output is read by the test, of a server that is killed afterwards."""
import os, shutil, sys

# Threads: every report, at once. Addresses: leaks at a clean end, too. Undefined behaviour ends the process (see
# scripts/cmake/rooms.cmake). Memory that was freed is kept for a while, less than by default: hostile clients measure.
OPTIONS = {
    "TSAN_OPTIONS": "ignore_noninstrumented_modules=1 halt_on_error=0 second_deadlock_stack=1 history_size=4 exitcode=66",
    "ASAN_OPTIONS": "detect_leaks=1 detect_stack_use_after_return=1 check_initialization_order=1 strict_init_order=1 quarantine_size_mb=64 exitcode=66",
    "UBSAN_OPTIONS": "print_stacktrace=1 halt_on_error=1",
    "LSAN_OPTIONS": "report_objects=1",
}


def prepare(build):
    """The folder that reports go to, one a test program; every process started from now on knows it."""
    test = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    folder = os.path.join(build, "sanitizer_reports", f"{test}.{os.getpid()}")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name, options in OPTIONS.items():
        os.environ[name] = " ".join(filter(None, [os.environ.get(name), options, f"log_path={folder}/{name.split('_')[0].lower()}"]))
    return folder


def found(folder):
    """A text for each report; the files stay where they are."""
    texts = []
    for name in sorted(os.listdir(folder)) if folder else []:
        with open(os.path.join(folder, name), errors="replace") as f:
            texts.append(f"{folder}/{name}:\n{f.read(20000)}")
    return texts
