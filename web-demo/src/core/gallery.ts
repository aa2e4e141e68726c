/** A gallery: other photos of the people, which say better than one photo what a face has to move away from. */

import { findFaces } from "./detect";
import { NoFaceError } from "./errors";
import type { Graphs } from "./graphs";
import type { Codec } from "./photo/codec";
import { readPhoto } from "./photo/read";
import { type View, cutPart, ownPart, similarity, view } from "./subject";

/**
 * Return what the recognizers see in all faces of a photo, f32 [D] each. It serves these artifacts alone.
 *
 * @throws PhotoError, NoFaceError.
 */
export async function enroll(graphs: Graphs, codec: Codec, data: Uint8Array): Promise<Float32Array[]> {
  const photo = await readPhoto(data, codec);
  try {
    const { faces } = await findFaces(graphs, photo.pixels, photo.width, photo.height);
    if (!faces.length) throw new NoFaceError("no face found");
    const rows: Float32Array[] = [];
    for (const face of faces) {
      const part = cutPart(photo, 1, face, graphs.manifest.recognizer.crop_margin);
      rows.push((await view(graphs, part.original, part)).reference.slice());
    }
    return rows;
  } finally {
    photo.release();
  }
}

/** Return the rows of a gallery that our recognizer takes for the same person as a face. */
export function matching(graphs: Graphs, gallery: readonly Float32Array[], face: View): Float32Array[] {
  const { recognizer, match } = graphs.manifest;
  const threshold = recognizer.thresholds[match.far]!;
  return gallery.filter((row) => similarity(ownPart(graphs, row), ownPart(graphs, face.reference)) >= threshold);
}

/** Return what a cloak moves away from, f32 [D]: the mean of the face and of what matches it. */
export function meanReference({ reference, known = [] }: View): Float32Array {
  return reference.map((value, i) => known.reduce((sum, row) => sum + row[i]!, value) / (known.length + 1));
}
