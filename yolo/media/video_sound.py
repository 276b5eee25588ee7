"""The last step of a video written by PyAV: its packets in an order that plays at once, and the source's sound.

Sound that browsers play is copied as it is; other kinds are encoded as AAC.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

_COPIED = frozenset({"aac", "mp3", "mp3float", "opus", "flac"})  # codecs of sound in MP4 that browsers play
_SAMPLE_RATES = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)  # of AAC
_WORTH_A_SEEK = 10.0  # seconds

Timed = tuple[float, Any]  # when a packet is decoded, in seconds, and the packet


def copy_with_sound(video: Path, out: Path, *, sound: Path | None, start: float, end: float) -> str:
    """Copy a video into an MP4 file whose index is in front, with the sound of another file.

    Args:
        video: file with one video stream, whose time is 0 at `start` of the other.
        out: is written.
        sound: file from which the sound is taken, if it has any.
        start: from when on, in seconds from the start of its video.
        end: until when.

    Returns:
        What is missing, or "".

    Raises:
        OSError: `out` cannot be written; or av.FFmpegError.
    """
    import av

    with ExitStack() as stack:
        pictures = stack.enter_context(av.open(str(video)))
        container = stack.enter_context(av.open(str(out), "w", format="mp4", options={"movflags": "+faststart"}))
        target = container.add_stream_from_template(pictures.streams.video[0])
        parts, missing = [_video_packets(pictures, target)], ""
        if sound is not None:
            try:
                source = stack.enter_context(av.open(str(sound)))
                if source.streams.audio:
                    parts.append(_sound_packets(source, container, start, end))
            except (av.FFmpegError, ValueError) as error:
                missing = f"{sound.name}: its sound cannot be taken over ({error})"
        # by time, because the muxer holds what has no counterpart yet in memory
        for _, packet in heapq.merge(*parts, key=lambda timed: timed[0]):
            container.mux(packet)
    return missing


def _video_packets(pictures: Any, target: Any) -> Iterator[Timed]:
    for packet in pictures.demux(pictures.streams.video[0]):
        if packet.dts is not None:
            packet.stream = target
            yield float(packet.dts * packet.time_base), packet


def _sound_packets(source: Any, container: Any, start: float, end: float) -> Iterator[Timed]:
    """Packets of the first sound stream between two times of the video; the stream is added at once."""
    stream = source.streams.audio[0]
    videos = source.streams.video
    origin = float(videos[0].start_time * videos[0].time_base) if videos and videos[0].start_time is not None else 0.0
    if start > _WORTH_A_SEEK:
        source.seek(round((start + origin - 1) * 1_000_000))
    if stream.codec_context.name in _COPIED:
        return _copied(source, stream, container.add_stream_from_template(stream), start + origin, end + origin)
    rate = min(_SAMPLE_RATES, key=lambda one: abs(one - stream.codec_context.sample_rate))
    target = container.add_stream("aac", rate=rate)
    target.layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
    return _encoded(source, stream, target, start + origin, end + origin)


def _copied(source: Any, stream: Any, target: Any, start: float, end: float) -> Iterator[Timed]:
    shift = round(start / stream.time_base)
    for packet in source.demux(stream):
        if packet.dts is None or packet.pts is None:
            continue
        time = float(packet.pts * packet.time_base)
        if time >= end:
            return
        if time >= start:
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, target
            yield time - start, packet


def _encoded(source: Any, stream: Any, target: Any, start: float, end: float) -> Iterator[Timed]:
    import av

    resampler = av.AudioResampler(format="fltp", layout=target.layout.name, rate=target.rate)
    for frame in source.decode(stream):
        if frame.time is None or frame.time < start:
            continue
        if frame.time >= end:
            break
        frame.pts = round((frame.time - start) / frame.time_base)
        for piece in resampler.resample(frame):
            yield from _timed(target.encode(piece))
    yield from _timed(target.encode(None))


def _timed(packets: list[Any]) -> Iterator[Timed]:
    for packet in packets:
        yield float((packet.dts or 0) * (packet.time_base or Fraction(1))), packet
