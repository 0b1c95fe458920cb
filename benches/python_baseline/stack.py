#!/usr/bin/env python3
"""The job as it is usually put together in Python: PySceneDetect finds the scenes, OpenCV decodes again and keeps
evenly spaced frames in memory, ONNX Runtime looks for faces on each in FP32 and describes them, and all is written.

Prints a JSON object: seconds a stage, what was found, and the most memory held at once.

usage: stack.py VIDEO DETECTOR.onnx EMBEDDER.onnx OUT [--frames 1000]
"""

import argparse
import json
import pathlib
import resource
import time

import cv2
import numpy as np
import onnxruntime
from scenedetect import ContentDetector, detect

LONG_SIDE_PX = 640
STRIDE = 4
MIN_SCORE, NMS_IOU = 0.5, 0.3
CHIP_PX = 112
# Where ArcFace expects eyes, nose and mouth in a chip.
TEMPLATE = np.float32([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])


def evenly_spaced(video, count):
    capture = cv2.VideoCapture(video)
    total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = set(np.linspace(0, total - 1, min(count, total)).astype(int).tolist())
    kept, index = {}, 0
    while True:
        there, frame = capture.read()
        if not there:
            return kept, index
        if index in wanted:
            kept[index] = frame
        index += 1


class Faces:
    """CenterFace and MobileFaceNet."""

    def __init__(self, detector, embedder):
        self.detector = onnxruntime.InferenceSession(detector)
        self.embedder = onnxruntime.InferenceSession(embedder)

    def on(self, frame):
        scale = LONG_SIDE_PX / max(frame.shape[:2])
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = (-(-side // 32) * 32 for side in small.shape[:2])
        canvas = np.zeros((height, width, 3), np.float32)
        canvas[: small.shape[0], : small.shape[1]] = small[:, :, ::-1]
        heat, size, offset, points = self.detector.run(None, {"input": canvas.transpose(2, 0, 1)[None]})
        boxes, marks, scores = [], [], []
        for y, x in zip(*np.where(heat[0, 0] > MIN_SCORE)):
            h, w = np.exp(size[0, :, y, x]) * STRIDE
            top = (y + offset[0, 0, y, x] + 0.5) * STRIDE - h / 2
            left = (x + offset[0, 1, y, x] + 0.5) * STRIDE - w / 2
            boxes.append([float(v) for v in (left, top, w, h)])
            scores.append(float(heat[0, 0, y, x]))
            pairs = points[0, :, y, x].reshape(5, 2)
            marks.append(np.stack([pairs[:, 1] * w + left, pairs[:, 0] * h + top], 1))
        faces = []
        for i in np.array(cv2.dnn.NMSBoxes(boxes, scores, MIN_SCORE, NMS_IOU)).flatten() if boxes else []:
            transform, _ = cv2.estimateAffinePartial2D(np.float32(marks[i] / scale), TEMPLATE)
            if transform is None:
                continue
            chip = cv2.warpAffine(frame, transform, (CHIP_PX, CHIP_PX))
            values = (chip[:, :, ::-1].astype(np.float32) - 127.5) / 128
            vector = self.embedder.run(None, {"input": np.ascontiguousarray(values.transpose(2, 0, 1)[None])})[0][0]
            faces.append((boxes[i], chip, vector / np.linalg.norm(vector)))
        return faces


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("video", "detector", "embedder"):
        parser.add_argument(name)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--frames", type=int, default=1000)
    options = parser.parse_args()
    timings = {}
    began = time.monotonic()

    def stage(name):
        timings[name] = time.monotonic() - began - sum(timings.values())

    scenes = detect(options.video, ContentDetector())
    stage("scenes")
    frames, decoded = evenly_spaced(options.video, options.frames)
    stage("frames")
    models = Faces(options.detector, options.embedder)
    faces = {index: models.on(frame) for index, frame in frames.items()}
    stage("faces")
    for folder in ("frames", "faces"):
        (options.out / folder).mkdir(parents=True)
    listed = []
    for index, frame in frames.items():
        cv2.imwrite(str(options.out / f"frames/{index:06}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 92])
        for i, (box, chip, vector) in enumerate(faces[index]):
            cv2.imwrite(str(options.out / f"faces/{index:06}_{i}.jpg"), chip)
            listed.append({"frame": index, "bbox": [round(v, 2) for v in box], "embedding": vector.tolist()})
    (options.out / "faces.json").write_text(json.dumps(listed))
    stage("write")
    print(
        json.dumps(
            {
                "frames_decoded": decoded,
                "frames_kept": len(frames),
                "faces": len(listed),
                "scenes": len(scenes),
                "timings_s": {name: round(seconds, 2) for name, seconds in timings.items()},
                "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


main()
