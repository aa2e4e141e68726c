package faceencryption.app

import faceencryption.core.Artifacts
import java.io.File

/** The app with graphs that are loaded once for all tests. */
class TestApp : App() {
    override val engine: Engine by lazy { Engine(this, artifacts) }

    private companion object {
        val artifacts by lazy { Artifacts(File(System.getProperty("artifacts")!!)) }
    }
}
