"""What a recognizer learns from: layouts of photos, cut faces, random views, morphs and attacked faces."""
