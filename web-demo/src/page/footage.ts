/** Moving pictures: a camera, or a video file, of which frames are taken when there is time for one. */

/** The longer side of a frame is this at most, in pixels. */
const LONGER = 640;

export interface Footage {
  /** Return the newest frame, once there is a new one; undefined where none comes any more. */
  next(): Promise<ImageBitmap | undefined>;
  close(): void;
}

/** Ask for the camera. The errors are a line for the user. */
export async function fromCamera(): Promise<Footage> {
  if (!navigator.mediaDevices) throw new Error("This browser gives no camera to this page: it takes https or localhost.");
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: LONGER }, height: { ideal: 480 }, facingMode: "user" }, audio: false });
  } catch (error) {
    throw new Error(refusal(error), { cause: error });
  }
  const video = newVideo();
  video.srcObject = stream;
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  return play(video, stop, "The camera shows nothing.");
}

export async function fromFile(file: File): Promise<Footage> {
  const video = newVideo();
  const url = URL.createObjectURL(file);
  video.loop = true;
  video.src = url;
  return play(video, () => URL.revokeObjectURL(url), "This video cannot be played here.");
}

function refusal(error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return "The camera was not allowed. To change that, use the settings that the browser has for this page.";
  if (name === "NotFoundError") return "No camera was found.";
  if (name === "NotReadableError") return "The camera is used by something else.";
  return error instanceof Error ? error.message : String(error);
}

function newVideo(): HTMLVideoElement {
  const video = document.createElement("video");
  [video.muted, video.playsInline] = [true, true];
  return video;
}

async function play(video: HTMLVideoElement, release: () => void, problem: string): Promise<Footage> {
  let isClosed = false;
  let wake: (() => void) | undefined;
  const close = () => {
    isClosed = true;
    video.pause();
    release();
    wake?.();
  };
  try {
    await video.play();
  } catch {
    close();
    throw new Error(problem);
  }
  const fresh = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
      video.requestVideoFrameCallback(() => resolve());
    });
  return {
    async next() {
      await fresh();
      if (isClosed) return undefined;
      const scale = Math.min(1, LONGER / Math.max(video.videoWidth, video.videoHeight));
      const [width, height] = [video.videoWidth, video.videoHeight].map((side) => Math.max(1, Math.round(side * scale)));
      return createImageBitmap(video, { resizeWidth: width!, resizeHeight: height!, resizeQuality: "medium" });
    },
    close,
  };
}
