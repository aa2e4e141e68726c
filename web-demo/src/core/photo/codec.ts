/** What the core asks of its surroundings: decoders of pictures, and an encoder of WebP. */

import type { Bytes } from "./bytes";
import type { Format } from "./parts";
import type { Raster, RowSource } from "./raster";

export interface PictureRequest {
  format: Format;
  /** A file with the picture alone; of CMYK with its profile, by which the decoder converts, and else without. */
  picture: Bytes;
  /** The picture has an alpha channel, whose colours have to come as they are. */
  alpha: boolean;
}

export interface WebpOptions {
  lossless: boolean;
  /** 0 to 100. */
  quality: number;
}

export interface Codec {
  /** Decode a picture as it is stored. Throws where it is damaged. */
  decode(request: PictureRequest): Promise<RowSource>;
  encodeWebp(raster: Raster, options: WebpOptions): Promise<Bytes>;
}
