import os
import platform
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from yolo.process import FileLock, in_time, quiet_decoders, silent_stderr

HOLD = "import sys; from pathlib import Path; from yolo.process import FileLock\nlock = FileLock(Path(sys.argv[1]))\n"
# prints the page faults of the second of two large arrays, the first of which was freed: inside and after the block
PAGE_FAULTS = """
import ctypes, resource
from yolo.process import freed_memory_kept

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def pages_asked_for():
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        memory = libc.malloc(64 << 20)
        libc.memset(memory, 1, 64 << 20)
        libc.free(memory)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with freed_memory_kept():
    inside = pages_asked_for()
print(inside, pages_asked_for(), (64 << 20) // resource.getpagesize())
"""


def test_a_file_has_one_holder_and_stays_an_ordinary_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    lock = FileLock(path)
    with pytest.raises(BlockingIOError):
        FileLock(path)
    path.write_text("text")
    assert path.read_text() == "text"
    lock.release()
    lock.release()
    FileLock(path).release()


def test_a_killed_process_holds_nothing_although_its_forked_worker_lives(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    code = HOLD + "import os, signal\nif not os.fork(): print(os.getpid(), flush=True)\nsignal.pause()"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        with pytest.raises(BlockingIOError):
            FileLock(path)
        process.kill()
        process.wait()
        FileLock(path).release()
        os.kill(worker, signal.SIGKILL)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library has no mallopt")
def test_large_arrays_get_the_memory_of_freed_ones_inside_the_block_only() -> None:
    """In a process of its own: one that has run other tests may have free memory of that size in its heap anyway."""
    inside, outside, num_pages = map(int, subprocess.check_output([sys.executable, "-c", PAGE_FAULTS]).split())
    assert inside < num_pages / 10
    assert outside > num_pages / 10


def test_in_time() -> None:
    assert in_time(lambda: 5, 10) == 5
    with pytest.raises(ZeroDivisionError):
        in_time(lambda: 1 // 0, 10)
    ended = threading.Event()
    with pytest.raises(TimeoutError):
        in_time(ended.wait, 0.01)
    ended.set()


def test_opencv_and_ffmpeg_are_quiet_unless_the_user_wants_to_hear_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENCV_LOG_LEVEL", "OPENCV_FFMPEG_LOGLEVEL"):
        monkeypatch.setenv(name, "before")  # or it would stay set after the test
        monkeypatch.delenv(name)
    quiet_decoders()
    assert (os.environ["OPENCV_LOG_LEVEL"], os.environ["OPENCV_FFMPEG_LOGLEVEL"]) == ("OFF", "-8")
    monkeypatch.setenv("OPENCV_LOG_LEVEL", "DEBUG")
    quiet_decoders()
    assert os.environ["OPENCV_LOG_LEVEL"] == "DEBUG"


def test_standard_error_is_silent_for_a_moment(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before ")
    with silent_stderr():
        os.write(2, b"inside ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_what_libraries_write_is_not_seen_and_what_we_write_is() -> None:
    code = (
        "import os, sys, warnings\nfrom yolo.process import silence_libraries\nsilence_libraries()\n"
        "os.write(2, b'libpng warning: iCCP\\n')\nwarnings.warn('of a library')\n"
        "print('error: ours \\u65e5', file=sys.stderr)\nraise SystemExit(3)"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OPENCV_LOG_LEVEL"}
    environment["PYTHONIOENCODING"] = "utf-8"
    for switches, unseen in (([], True), (["-X", "dev"], False)):
        words = [sys.executable, *switches, "-c", code]
        done = subprocess.run(words, capture_output=True, encoding="utf-8", env=environment, check=False)
        assert (done.returncode, done.stdout) == (3, "")
        assert "error: ours \u65e5\n" in done.stderr
        assert ("libpng" not in done.stderr) == unseen
        assert ("of a library" not in done.stderr) == unseen


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix opens streams for reading")
def test_a_standard_error_that_cannot_be_written_to_changes_no_exit_code(tmp_path: Path) -> None:
    """As a shell script leaves it behind `2>&-`: number 2 is then the script itself."""
    command = (
        f"exec {shlex.quote(sys.executable)} -m yolo data check {shlex.quote(str(tmp_path / 'none'))} 2< /dev/null"
    )
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
