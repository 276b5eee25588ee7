"""The program `gridyolo`: find the command, run it, and turn how it ends into an exit code.

Exit codes: 0 success, also if some images of several could not be read; 1 failure; 2 wrong usage; 3 a data check found
errors; 130 interrupted, after saving.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from yolo._version import __version__
from yolo.cli.command_words import command_words
from yolo.cli.ending import (
    FAILURE,
    INTERRUPTED,
    Ending,
    command_name,
    document,
    print_ending,
    streams,
    take_manner,
)
from yolo.cli.words import HELP_WORDS
from yolo.console import collected_warnings, make_streams_safe, open_closed_streams, stdout
from yolo.errors import GridYoloError, printable, terminal_text
from yolo.process import is_out_of_memory, quiet_decoders

# what takes memory
_SMALLER = "--batch-size, --input-size or --tile, or fewer --workers,"
# characters of a message
_MOST = 2000

_HELP = f"""\
gridyolo {__version__}: object detection with a YOLOv1-style grid

  gridyolo train DATA                train a detector on your labelled images
  gridyolo val WEIGHTS DATA          measure a trained detector and explain the
                                     result on one page
  gridyolo predict WEIGHTS SOURCE... draw boxes on images or video, write JSON
  gridyolo report GROUND_TRUTH DETECTIONS
                                     measure the detections of any detector
  gridyolo compare A B               compare two runs or files of detections
  gridyolo info WEIGHTS              print the metadata of a weights file
  gridyolo data check|stats|preview|convert|split|synth|download
                                     check, describe, convert, make datasets
  gridyolo darknet show|import|export
                                     show and convert darknet's files
  gridyolo demo                      train, validate and predict on images
                                     that it makes itself

WEIGHTS is a trained detector (*.safetensors), the folder of its run, or a
darknet weights file (*.weights).
DATA is a dataset YAML or a folder in Pascal VOC, COCO, YOLO or CSV layout.
SOURCE is an image, a folder, a glob, a video, an address or a camera.
GROUND_TRUTH is a COCO json, a CSV file, a folder of VOC xml or YOLO txt, or a
dataset YAML; DETECTIONS a COCO results json, a run folder of predict, or a
folder of comp4 or YOLO txt.

`gridyolo help COMMAND` shows the options of a command. Options are written
--max-minutes 10 or max_minutes=10, before or after other words. With --quiet a
command prints errors and warnings only, with --json one document for scripts."""


def run(words: Sequence[str]) -> int:
    """Run a command line (without the program's name) and return its exit code."""
    open_closed_streams()
    make_streams_safe()
    quiet_decoders()
    words, manner = take_manner(words)
    ending, error = Ending(exit_code=FAILURE), ""
    with streams(manner) as output, collected_warnings() as warnings:
        try:
            ending, error = _outcome(words)
        except Exception as bug:
            error = f"{type(bug).__name__}: {bug}"
            raise
        finally:
            if manner.json:
                print(document(_name_of(words), ending, warnings=warnings, error=error), file=output)
    try:
        output.flush()
    except BrokenPipeError:
        _leave_pipe()
    return ending.exit_code


def _outcome(words: Sequence[str]) -> tuple[Ending, str]:
    """Run a command and print how it ends; the message is that of an error."""
    try:
        ending = _run(words)
        if ending.folder or ending.files or ending.next_command:
            print_ending(ending, stdout())
        return ending, ""
    except SystemExit as exit_request:  # --help and --print_config end this way
        return Ending(exit_code=int(exit_request.code or 0)), ""
    except GridYoloError as error:
        return _failed(str(error), error.exit_code)
    except BrokenPipeError:
        # the reader of our output, such as `head`, has gone
        _leave_pipe()
        return Ending(exit_code=FAILURE), "nobody reads the output"
    except OSError as error:
        place = f"{printable(str(error.filename))}: " if error.filename else ""
        return _failed(f"{place}{error.strerror or error}", FAILURE)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return Ending(exit_code=INTERRUPTED), ""
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        where = "the GPU" if "cuda" in str(error).lower() else "this machine"
        return _failed(f"{where} has not enough memory for this; a smaller {_SMALLER} needs less", FAILURE)


def _failed(message: str, exit_code: int) -> tuple[Ending, str]:
    message = _shortened(message)
    print(f"error: {terminal_text(message)}", file=sys.stderr)
    return Ending(exit_code=exit_code), message


def _shortened(message: str) -> str:
    """A message that quotes something endless, such as a path of 10,000 characters, without its middle."""
    return message if len(message) <= _MOST else f"{message[: _MOST // 2]} ... {message[-_MOST // 2 :]}"


def _leave_pipe() -> None:
    """Let standard output end nowhere, so that Python says nothing about it when it closes."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _name_of(words: Sequence[str]) -> str:
    """The command that a line means, for the document of --json."""
    with suppress(GridYoloError):
        return command_name(command_words(words))
    return command_name(words)


def _run(words: Sequence[str]) -> Ending:
    words = command_words(words)
    if words and words[0] in HELP_WORDS:
        words = command_words([*words[1:], "--help"])
    if not words or words[0] in HELP_WORDS:
        print(_HELP)
        return Ending()
    if words[0] in ("--version", "version", "-V"):
        print(f"gridyolo {__version__}")
        return Ending(results={"version": __version__})
    # commands are imported here: help needs none of what they import
    from yolo.cli import commands, evaluation_commands
    from yolo.cli.arguments import run_action

    known: dict[str, Callable[[Sequence[str]], Ending]] = {
        "train": commands.train_command,
        "val": evaluation_commands.val_command,
        "report": evaluation_commands.report_command,
        "compare": evaluation_commands.compare_command,
        "predict": commands.predict_command,
        "info": commands.info_command,
        "demo": commands.demo_command,
        "data": commands.data_command,
        "darknet": commands.darknet_command,
    }
    return run_action("gridyolo", known, words, help_text=_HELP)
