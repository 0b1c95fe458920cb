"""What PySceneDetect's detect-content takes a frame, on one thread, with what comes before it.

    python content_cost.py VIDEO.y4m [ROUNDS]

Prints milliseconds as JSON: BGR of a decoded frame, its downscaling, and the detector. The best of some rounds.
"""

import json
import sys
import time

import cv2
import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

# Of the longer side after PySceneDetect's downscaling, in pixels.
WIDTH = 256


def frames_of(path):
    raw = open(path, "rb").read()
    header = raw[: raw.index(b"\n") + 1]
    fields = header.decode().split()
    width, height = (int(next(f for f in fields if f[0] == tag)[1:]) for tag in "WH")
    step = 6 + width * height * 3 // 2
    starts = range(len(header), len(raw) - step + 1, step)
    frames = [np.frombuffer(raw, np.uint8, step - 6, start + 6).reshape(height * 3 // 2, width) for start in starts]
    return frames, width, height


def main():
    cv2.setNumThreads(1)
    frames, width, height = frames_of(sys.argv[1])
    scale = max(width, height) / WIDTH
    size = (round(width / scale), round(height / scale))
    latest = frames[0].copy()
    best = [float("inf")] * 3
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 3):
        detector = ContentDetector()
        took = [0.0] * 3
        for index, frame in enumerate(frames):
            # As after decoding, when it has just been written.
            np.copyto(latest, frame)
            times = [time.perf_counter()]
            bgr = cv2.cvtColor(latest, cv2.COLOR_YUV2BGR_I420)
            times.append(time.perf_counter())
            small = cv2.resize(bgr, size, interpolation=cv2.INTER_LINEAR)
            times.append(time.perf_counter())
            detector.process_frame(FrameTimecode(index, 25.0), small)
            times.append(time.perf_counter())
            took = [total + end - start for total, start, end in zip(took, times, times[1:])]
        best = [min(pair) for pair in zip(best, took)]
    names = ("to_bgr_ms", "downscale_ms", "content_ms")
    print(json.dumps({name: 1e3 * seconds / len(frames) for name, seconds in zip(names, best)}))


main()
