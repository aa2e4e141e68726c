/** Finding faces: at one look at the whole photo, and small ones at a closer look at its parts. */

import { type Box, type Detection, type Face, checkBox, choose, faceByHand, isShownBy } from "./faces";
import { type Graphs, floatsOf, tensor } from "./graphs";
import { type OnPart, findSmall } from "./small";

const MAX_FACES = 100;

/**
 * Find the faces in an image, and say where the detector is unsure.
 *
 * @param pixels u8 [height, width, 3].
 * @param boxes faces given by hand, each in place of what was found there.
 * @param onPart given to look closer, too, for faces too small for one look at a large photo.
 * @throws SettingError a box lies outside of the image.
 */
export async function findFaces(graphs: Graphs, pixels: Uint8Array, width: number, height: number, boxes: readonly Box[] = [], onPart?: OnPart): Promise<Detection> {
  for (const box of boxes) checkBox(box, width, height);
  const candidates = await detect(graphs, pixels, width, height);
  if (onPart) {
    const closer = await findSmall((part, w, h) => detect(graphs, part, w, h), pixels, width, height, onPart);
    candidates.push(...closer.filter((each) => !isShownBy(each, candidates)));
  }
  const { score } = graphs.manifest.detector;
  return choose(candidates, boxes.map(faceByHand), (face) => face.score >= score, width, height);
}

/** Return what is or may be a face, the highest score first. */
async function detect(graphs: Graphs, pixels: Uint8Array, width: number, height: number): Promise<Face[]> {
  const { score, unsure: lowest } = graphs.manifest.detector;
  const outputs = await graphs.run(graphs.name("detector"), {
    image: tensor.pixels(pixels, height, width),
    score_threshold: tensor.float(Math.min(score, lowest)),
    max_faces: tensor.integer(MAX_FACES),
  });
  const [edges, scores, points] = [floatsOf(outputs, "boxes"), floatsOf(outputs, "scores"), floatsOf(outputs, "keypoints")];
  return [...scores].map((each, i): Face => {
    const [x0, y0, x1, y1] = edges.slice(4 * i, 4 * i + 4);
    return { box: [x0!, y0!, x1!, y1!], score: each, keypoints: points.slice(12 * i, 12 * i + 12) };
  });
}
