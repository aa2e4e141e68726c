import { describe, expect, it } from "vitest";

import { type Face, overlap, sharedPart, squareAround, withFaces } from "../../src/core/faces";
import { cutSquare, pasteSquare, type Raster } from "../../src/core/photo/raster";

const face = (x: number, score = 0.9): Face => ({ box: [x, 10, x + 20, 30], score, keypoints: new Float32Array(12) });

describe("the square around a box", () => {
  it("has the box's centre and a side rounded half up", () => {
    expect(squareAround([10, 20, 60, 60], 0.1)).toEqual({ corner: [5, 10], side: 60 });
    expect(squareAround([0, 0, 30.42, 10], 0.1)).toEqual({ corner: [-3, -13], side: 37 });
  });

  it("has 16 pixels at least", () => {
    expect(squareAround([100, 100, 103, 104], 0.1)).toEqual({ corner: [94, 94], side: 16 });
  });

  it("is black outside the photo, where nothing is pasted", () => {
    const raster: Raster = { width: 4, height: 4, channels: 3, data: new Uint8Array(48).fill(9) };
    const square = cutSquare(raster, [-2, 2], 4);
    expect([...square].filter((level) => level === 9)).toHaveLength(2 * 2 * 3);
    pasteSquare(raster, new Uint8Array(48).fill(200), 4, [-2, 2], false);
    expect([...raster.data].filter((level) => level === 200)).toHaveLength(2 * 2 * 3);
    expect(overlap(4, 4, 4, [9, 9])).toEqual({ left: 0, top: 0, right: 0, bottom: 0 });
  });
});

describe("a grey photo", () => {
  it("stays as grey as it was", () => {
    const data = Uint8Array.of(100, 102, 98, 250, 254, 251);
    const raster: Raster = { width: 2, height: 1, channels: 3, data };
    pasteSquare(raster, Uint8Array.of(110, 110, 110, 255, 255, 255, 0, 0, 0, 0, 0, 0), 2, [0, 0], true);
    expect([...data]).toEqual([110, 112, 108, 251, 255, 252]); // the second by less, where a channel would leave 255
  });
});

describe("faces by hand", () => {
  const detection = { faces: [face(50)], unsure: [face(90, 0.45)], width: 200, height: 100 };

  it("take the place of what was found there", () => {
    const { faces, unsure } = withFaces(detection, [[52, 10, 72, 30]], []);
    expect(faces.map(({ box }) => box)).toEqual([[52, 10, 72, 30]]);
    expect([...faces[0]!.keypoints.slice(0, 4)]).toEqual([62, 20, 62, 20]);
    expect(unsure).toHaveLength(1);
  });

  it("may be those of which the detector is unsure, numbered from left to right", () => {
    const { faces, unsure } = withFaces(detection, [[0, 0, 10, 10]], [detection.unsure[0]!]);
    expect(faces.map(({ box }) => box[0])).toEqual([0, 50, 90]);
    expect(unsure).toEqual([]);
  });

  it("have to lie in the photo", () => {
    expect(() => withFaces(detection, [[300, 0, 320, 20]], [])).toThrow("the box 300,0,320,20 is not in the photo of 200x100");
    expect(() => withFaces(detection, [[30, 0, 20, 20]], [])).toThrow("has no size");
  });

  it("show the same face from a shared part on", () => {
    expect(sharedPart([0, 0, 10, 10], [5, 0, 15, 10])).toBeCloseTo(1 / 3);
    expect(sharedPart([0, 0, 10, 10], [20, 0, 30, 10])).toBe(0);
  });
});
