"""MediaPipe's own detector, of whatever version is installed (Tasks API), on photos: a process of its own.

    python mediapipe_faces.py MODEL.tflite PHOTOS.npz FACES.npz

MediaPipe reports its use to its maker and has no switch for that, so its test starts this where sockets are refused.
PHOTOS has one RGB image a name, u8 [H, W, 3]. FACES has `NAME boxes`, i64 [K, 4], `NAME scores`, f64 [K], and `NAME
keypoints`, f64 [K, 6, 2], in pixels.
"""

import sys
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
from numpy.typing import NDArray


def main(model: str, photos: str, faces: str) -> None:
    """Detect the faces of all photos; raises as MediaPipe does."""
    tasks = mediapipe.tasks
    options = tasks.vision.FaceDetectorOptions(
        base_options=tasks.BaseOptions(model_asset_buffer=Path(model).read_bytes()), min_detection_confidence=0.5
    )
    found: dict[str, NDArray[Any]] = {}
    with tasks.vision.FaceDetector.create_from_options(options) as detector, np.load(photos) as images:
        for name, pixels in images.items():
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
            detections = detector.detect(image).detections
            frames = [face.bounding_box for face in detections]
            corners = [[f.origin_x, f.origin_y, f.origin_x + f.width, f.origin_y + f.height] for f in frames]
            points = [[[p.x * image.width, p.y * image.height] for p in face.keypoints] for face in detections]
            found[f"{name} boxes"] = np.array(corners).reshape(-1, 4)
            found[f"{name} scores"] = np.array([face.categories[0].score for face in detections])
            found[f"{name} keypoints"] = np.array(points).reshape(-1, 6, 2)
    np.savez(faces, allow_pickle=False, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
