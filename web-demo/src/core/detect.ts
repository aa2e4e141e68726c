/** Finding faces. */

import { type Box, type Detection, type Face, checkBox, choose, faceByHand } from "./faces";
import { type Graphs, floatsOf, tensor } from "./graphs";

const MAX_FACES = 100;

/**
 * Find the faces in an image, and say where the detector is unsure.
 *
 * @param pixels u8 [height, width, 3].
 * @param boxes faces given by hand, each in place of what was found there.
 * @throws SettingError a box lies outside of the image.
 */
export async function findFaces(graphs: Graphs, pixels: Uint8Array, width: number, height: number, boxes: readonly Box[] = []): Promise<Detection> {
  for (const box of boxes) checkBox(box, width, height);
  const { score, unsure: lowest } = graphs.manifest.detector;
  const outputs = await graphs.run(graphs.name("detector"), {
    image: tensor.pixels(pixels, height, width),
    score_threshold: tensor.float(Math.min(score, lowest)),
    max_faces: tensor.integer(MAX_FACES),
  });
  const [edges, scores, points] = [floatsOf(outputs, "boxes"), floatsOf(outputs, "scores"), floatsOf(outputs, "keypoints")];
  const candidates = [...scores].map((each, i): Face => {
    const [x0, y0, x1, y1] = edges.slice(4 * i, 4 * i + 4);
    return { box: [x0!, y0!, x1!, y1!], score: each, keypoints: points.slice(12 * i, 12 * i + 12) };
  });
  return choose(candidates, boxes.map(faceByHand), (face) => face.score >= score, width, height);
}
