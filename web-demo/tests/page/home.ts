/** Where the tests find things. */

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");

export const dist = join(root, "dist");
export const astronaut = join(root, "tests", "golden", "astronaut.jpg");
export const artifacts = join(root, "..", "artifacts");
/** Photos that are no part of the project. */
export const shared = join(root, "..", "..", "shared", "data");
/** Python with the runtime, to compare with. */
export const python = process.env["FACE_ENCRYPTION_PYTHON"] ?? join(root, "..", ".venv", "bin", "python");
export const hasPython = existsSync(python);
/** The page is built, and has models. */
export const isBuilt = existsSync(join(dist, "artifacts", "manifest.json"));

export function runPython(script: string, ...options: string[]): string {
  return execFileSync(python, [join(import.meta.dirname, script), ...options], { encoding: "utf8", maxBuffer: 1 << 24 });
}
