/**
 * Faces protected from frame to frame: the change of a face is carried over from the frame before and goes on by a step
 * or a few, instead of being made anew.
 */

import { type State, begin, takeStep, withChange } from "./cloak";
import { findFaces } from "./detect";
import { type Box, type Face, sharedPart, squareAround } from "./faces";
import type { Graphs } from "./graphs";
import { type Raster, cutSquare, pasteSquare } from "./photo/raster";
import { mostCertain } from "./report";
import type { Plan } from "./settings";
import { type Part, type View, compare, isMatch, recognize, view } from "./subject";

/** More faces than this, the largest, would take seconds a frame. */
const MAX_FACES = 3;
/** A face is the one of the frame before if its box shares so much with it and its square is about as large. */
const [SAME_PART, SAME_SIDE] = [0.4, 1.25];
/** What the recognizers see in a face without the change is asked again after so many frames: it turns and moves. */
const LOOK_AGAIN = 15;
/** They are asked about the changed face in each frame of this number alone, which costs as much as two steps. */
const MEASURE_EVERY = 3;

export interface LiveFace extends Measured {
  box: Box;
  /** How many steps the change has had. */
  steps: number;
}

/** The identity that our recognizer takes a face for, and how sure it is, 0 to 1. */
interface Named {
  name: string;
  probability: number;
}

/** What the recognizers said when they were last asked. */
interface Measured {
  before: Named;
  after: Named;
  matched: boolean;
  /** By the recognizer that is the most certain, to the face before. */
  similarity: number;
  threshold: number;
}

/** A face that is followed. */
interface Track {
  box: Box;
  side: number;
  before: View & { named: Named };
  frames: number;
  steps: number;
  measured?: Measured;
  state: State | undefined;
}

export class Live {
  #tracks: Track[] = [];

  constructor(
    private readonly graphs: Graphs,
    private readonly plan: Plan,
  ) {}

  /**
   * Protect the faces in a frame, u8 [height, width, 3], in place.
   *
   * @param steps how many steps each face's change goes on.
   */
  async frame(pixels: Uint8Array, width: number, height: number, steps: number): Promise<LiveFace[]> {
    const raster: Raster = { width, height, channels: 3, data: pixels };
    const { faces } = await findFaces(this.graphs, pixels, width, height);
    const size = ({ box: [x0, y0, x1, y1] }: Face) => (x1 - x0) * (y1 - y0);
    const largest = [...faces].sort((one, other) => size(other) - size(one)).slice(0, MAX_FACES);
    const parts = largest.map((face) => partOf(raster, face, this.graphs.manifest.recognizer.crop_margin));
    const tracks: Track[] = [];
    const results: LiveFace[] = [];
    for (const part of parts) {
      const track = await this.#follow(part);
      tracks.push(track);
      const changed = await this.#advance(track, part, steps);
      pasteSquare(raster, changed, part.side, part.corner, false);
      if (!track.measured || track.frames % MEASURE_EVERY === 0) track.measured = await this.#measure(track, part, changed);
      results.push({ ...track.measured, box: track.box, steps: track.steps });
    }
    this.#tracks = tracks; // a face that is lost begins anew
    return results;
  }

  /** Return the track of the frame before that goes on here, or a new one. */
  async #follow(part: Part): Promise<Track> {
    const { face, side, original } = part;
    const isSame = (each: Track) => sharedPart(each.box, face.box) >= SAME_PART && Math.max(each.side / side, side / each.side) <= SAME_SIDE;
    const at = this.#tracks.findIndex(isSame);
    const [track] = at < 0 ? [undefined] : this.#tracks.splice(at, 1);
    const fresh = { before: undefined, frames: 0, steps: 0, state: undefined };
    const { before, ...rest } = track ?? fresh;
    const known = before && rest.frames % LOOK_AGAIN ? before : { ...(await view(this.graphs, original, part)), named: await this.#name(original, side) };
    return { ...rest, frames: rest.frames + 1, box: face.box, side, before: known };
  }

  /** Go on by so many steps and return the face with its change, u8 [side, side, 3]. */
  async #advance(track: Track, { original, side, keypoints }: Part, steps: number): Promise<Uint8Array> {
    const { graphs, plan } = this;
    const { inputs, state } = await begin(graphs, { square: original, side, keypoints, reference: track.before.reference, seed: 0, plan });
    track.state ??= state;
    for (let i = 0; i < steps; i++, track.steps++) track.state = await takeStep(graphs, inputs, track.state, track.steps);
    return withChange(graphs, original, side, inputs, track.state);
  }

  async #name(square: Uint8Array, side: number): Promise<Named> {
    const { name, probability } = await recognize(this.graphs, square, side);
    return { name, probability };
  }

  async #measure({ before }: Track, part: Part, changed: Uint8Array): Promise<Measured> {
    const after = await view(this.graphs, changed, part);
    const comparisons = compare(this.graphs, before, after);
    const { similarity, threshold } = mostCertain({ comparisons });
    return { before: before.named, after: await this.#name(changed, part.side), matched: isMatch(comparisons), similarity, threshold };
  }
}

function partOf(raster: Raster, face: Face, margin: number): Part {
  const { corner, side } = squareAround(face.box, margin);
  const keypoints = face.keypoints.map((value, i) => value - corner[i % 2]!);
  return { number: 1, face, corner, side, original: cutSquare(raster, corner, side), keypoints };
}
