plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "faceencryption.app"
    compileSdk = 34
    defaultConfig {
        applicationId = "faceencryption.app"
        minSdk = 29
        targetSdk = 34
        versionCode = 1
        versionName = "0.1.0"
        ndk { abiFilters += "arm64-v8a" }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    kotlinOptions {
        jvmTarget = "1.8"
        allWarningsAsErrors = true
    }
    packaging { jniLibs.useLegacyPackaging = true }
    sourceSets["main"].assets.srcDir(layout.buildDirectory.dir("graphs"))
}

/** The graphs that a cloak needs, as `make artifacts` wrote them. */
val graphs = tasks.register<Copy>("graphs") {
    from(rootDir.resolve("../artifacts")) {
        include("manifest.json", "weights.bin", "detector.onnx", "cloak-reference.onnx")
        include("attack-feature-begin.onnx", "attack-feature-step-*.onnx", "attack-feature-end.onnx")
    }
    into(layout.buildDirectory.dir("graphs/artifacts"))
}

tasks.named("preBuild") { dependsOn(graphs) }

dependencies {
    implementation(project(":core"))
    implementation(libs.onnxruntime.android)
}
