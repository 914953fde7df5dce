#!/bin/bash
# Accepts the API as it is now: `bazel run //proto/davit/v1:update_golden`.
set -euo pipefail
cp --no-preserve=mode "proto/davit/v1/api.snapshot.textproto" \
  "$BUILD_WORKSPACE_DIRECTORY/proto/davit/v1/api.golden.textproto"
