package faceencryption.core

import java.io.File

/** Time from bytes to bytes, one thread: `Speed ARTIFACTS PHOTO [OUT]`. No test. */
fun main(arguments: Array<String>) {
    val protector = Protector(Artifacts(File(arguments[0])), ImageIoCodec)
    val photo = File(arguments[1]).readBytes()
    for (run in 1..3) {
        val start = System.nanoTime()
        val protected = protector.protect(photo)
        println("run %d: %.2f s".format(run, (System.nanoTime() - start) / 1e9))
        if (run == 1) for (face in protected.faces) println(resultLine(arguments[1], face))
        if (arguments.size > 2) File(arguments[2]).writeBytes(protected.data)
    }
}
