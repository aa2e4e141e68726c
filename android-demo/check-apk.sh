#!/usr/bin/env bash
# Checks a packed app: signed, no permission but for work and its notification, nothing that reports, everything in it
# that it needs.
set -euo pipefail
apk=$1
apksigner verify --min-sdk-version 29 "$apk"
facts=$(aapt2 dump badging "$apk" 2> /dev/null)
manifest=$(aapt2 dump xmltree --file AndroidManifest.xml "$apk" 2> /dev/null)
dex=$(unzip -p "$apk" 'classes*.dex' | strings -n 6)
natives=$(unzip -p "$apk" 'lib/*' | strings -n 6)
refuse() { echo "$apk: $1" >&2; exit 1; }
permissions=$(grep -oP "uses-permission: name='android\.permission\.\K\w+" <<< "$facts" | sort | xargs)
[ "$permissions" = 'FOREGROUND_SERVICE FOREGROUND_SERVICE_DATA_SYNC POST_NOTIFICATIONS' ] ||
    refuse "asks for these permissions: $permissions"
! grep -qE 'INTERNET|ACCESS_NETWORK' <<< "$manifest" || refuse "its manifest names the network"
! grep -qiE 'telemetry' <<< "$manifest" || refuse "its manifest names a reporter"
! grep -q 'ai/onnxruntime/telemetry' <<< "$dex" || refuse "its classes hold a reporter"
collectors='events\.data\.microsoft|aria\.microsoft|vortex\.data'
! grep -qE "$collectors" <<< "$natives" || refuse "its natives name a collector"
for file in classes.dex lib/arm64-v8a/libonnxruntime{,4j_jni}.so assets/artifacts/manifest.json; do
    unzip -l "$apk" "$file" > /dev/null || refuse "lacks $file"
done
exported=$(grep -c 'exported.*=true' <<< "$manifest" || true)
[ "$exported" = 2 ] || refuse "exports $exported parts, not its two screens"
bytes=$(stat -c %s "$apk")
[ "$bytes" -le 45000000 ] || refuse "is $((bytes / 1000000)) MB, more than 45"
grep -E '^(package|native-code)' <<< "$facts"
echo "$apk: $((bytes / 1000000)) MB, signed, no network, no storage, no reporter"
