#!/usr/bin/env bash
# Packs and signs target/face-encryption.apk for arm64, of what `mvn test-compile` left. Nothing of Google's repository:
# Debian's aapt, apksigner, zipalign, zip and unzip; Maven Central's dx; onnxruntime's Android build, unchanged, from an
# npm package. The key is made here and signs nothing but tries: a release needs one of your own.
set -euo pipefail
cd "$(dirname "$0")"
repository=${MAVEN_REPOSITORY:-$HOME/.m2/repository}
ort=1.26.0 kotlin=2.0.21 json=0.9.5 dx=16.0.1 out=target/apk
dx_jar=$repository/com/jakewharton/android/repackaged/dalvik-dx/$dx/dalvik-dx-$dx.jar

pinned() { sha256sum --check --quiet <<< "$1  $2" || { echo "$2 is not the file that was tested" >&2; exit 1; }; }

mkdir -p target
[ -e "$dx_jar" ] || mvn --quiet --batch-mode dependency:get -Dtransitive=false \
    -Dartifact=com.jakewharton.android.repackaged:dalvik-dx:$dx
if [ ! -e target/onnxruntime.aar ]; then
    (cd target && npm pack --silent com.github.asus4.onnxruntime@0.4.8 > /dev/null &&
        tar xzOf com.github.asus4.onnxruntime-0.4.8.tgz package/Plugins/Android/onnxruntime.aar > onnxruntime.aar &&
        rm com.github.asus4.onnxruntime-0.4.8.tgz)
fi
pinned 09c0780ae8d734ef2774bdf498b624729a855e6f9a8e488a0e7398a4e7396032 target/onnxruntime.aar
ort_jar=$repository/com/microsoft/onnxruntime/onnxruntime/$ort/onnxruntime-$ort.jar
kotlin_jar=$repository/org/jetbrains/kotlin/kotlin-stdlib/$kotlin/kotlin-stdlib-$kotlin.jar
json_jar=$repository/com/eclipsesource/minimal-json/minimal-json/$json/minimal-json-$json.jar
pinned 1e4b645628e3bdb097b5331d669e177ef235a551582a8c646dbe36865e541907 "$dx_jar"
pinned cf5a48c6f5d07b15f10634b80433ddce8f5892662b1a122bbbc0907f4f442c60 "$ort_jar"
pinned f31cc53f105a7e48c093683bbd5437561d1233920513774b470805641bedbc09 "$kotlin_jar"
pinned 69ff84463d1d7cc5cfdb8baf2b6e5f7af153d351bf0dbee3bbc8916247afac74 "$json_jar"

rm -rf $out && mkdir -p $out/classes $out/lib/arm64-v8a
unzip -q -j target/onnxruntime.aar 'jni/arm64-v8a/*' -d $out/lib/arm64-v8a
# The Android build's own classes are of Java 17, which dx does not read; the JVM build has the same in Java 8.
unzip -q "$ort_jar" 'ai/onnxruntime/*.class' -d $out/classes
unzip -q "$kotlin_jar" 'kotlin/*.class' -d $out/classes
unzip -q "$json_jar" 'com/*.class' -d $out/classes
cp -r core/target/classes/faceencryption app/target/classes/faceencryption $out/classes/

# dx keeps invokedynamic as it is, and Android has nothing to answer it: these classes hold some, and are not used.
unused='^(ai/onnxruntime/(TensorInfo|providers/.*)'
unused+='|kotlin/(comparisons/ComparisonsKt__ComparisonsKt|streams/.*|uuid/.*))\.class$'
(cd $out/classes && grep --recursive --files-with-matches LambdaMetafactory . | sed 's|^\./||') > $out/dynamic || true
if grep --extended-regexp --invert-match "$unused" $out/dynamic; then
    echo "these classes need LambdaMetafactory, which Android does not have" >&2
    exit 1
fi
rm -r $out/classes/kotlin/streams $out/classes/kotlin/uuid $out/classes/ai/onnxruntime/providers/{OrtCUDA,OrtTensorRT}*

java -Xmx1g -cp "$dx_jar" com.android.dx.command.Main --dex --min-sdk-version=29 --output=$out/classes.dex $out/classes
cp app/target/aapt/resources.ap_ $out/unaligned.apk
# Natives are compressed (extractNativeLibs): apksigner would align them to 4 KB, and phones of 16 KB pages want more.
(cd $out && zip -q -9 -r unaligned.apk classes.dex lib && zipalign -f 4 unaligned.apk aligned.apk)
[ -e target/debug.jks ] || keytool -genkeypair -keystore target/debug.jks -storepass android -alias debug -keyalg RSA \
    -keysize 2048 -validity 10000 -dname CN=Debug 2> /dev/null
apksigner sign --ks target/debug.jks --ks-pass pass:android --min-sdk-version 29 --out target/face-encryption.apk \
    $out/aligned.apk
./check-apk.sh target/face-encryption.apk
