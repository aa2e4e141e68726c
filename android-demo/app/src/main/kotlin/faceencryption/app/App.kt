package faceencryption.app

import android.app.Application
import android.content.Context
import android.system.ErrnoException
import android.system.Os
import java.io.File

/** The process: what lives as long as it, whatever becomes of its screens. */
open class App : Application() {
    open val engine: Engine by lazy { Engine(this) }
    val sessions: Sessions by lazy { Sessions(this) }

    override fun onCreate() {
        super.onCreate()
        try {
            // Version 1.26 of onnxruntime reports nothing; should a later one come in, it must not either.
            Os.setenv("ORT_DISABLE_TELEMETRY", "1", true)
        } catch (error: ErrnoException) {
            throw IllegalStateException(error)
        }
        // What an earlier process left that was killed.
        File(cacheDir, Sessions.FOLDER).deleteRecursively()
        engine.run { Saver(this).removeUnfinished() }
    }

    companion object {
        fun of(context: Context): App = context.applicationContext as App
    }
}
