plugins {
    alias(libs.plugins.kotlin.jvm)
}

kotlin {
    jvmToolchain(17)
    compilerOptions {
        jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_1_8
        allWarningsAsErrors = true
    }
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
}

dependencies {
    // The app brings the phone's build, which has the same classes.
    compileOnly(libs.onnxruntime.jvm)
    implementation(libs.minimal.json)
    testImplementation(libs.onnxruntime.jvm)
    testImplementation(libs.junit)
}

tasks.test {
    environment("ORT_DISABLE_TELEMETRY", "1")
    systemProperty("golden", rootDir.resolve("../tests/golden"))
    systemProperty("cases", rootDir.resolve("../build/android-cases"))
    systemProperty("artifacts", rootDir.resolve("../artifacts"))
}
