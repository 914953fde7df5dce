#!/usr/bin/env bash
# A Bazel test: boots a real systemd host in one cgroup layout and runs in it
# what its plan says, case by case.
#
#   layout_test.sh LAYOUT PLAN
#
# A line of PLAN is "<name> <program of the tree> <GTEST_FILTER>". The programs
# and what they need are the target's data.
set -euo pipefail

LAYOUT=$1
RUNFILES=${TEST_SRCDIR:?run by Bazel}/${TEST_WORKSPACE:?}
PLAN=$RUNFILES/$2
HERE=$RUNFILES/tests/vm
IMAGES=${DAVIT_TEST_IMAGES:-/var/cache/davit/images/current}
export DAVIT_VM=${DAVIT_VM:-/var/cache/davit/vm/current}
RESULTS_MIB=64
UNPACKED=(machine machine-trixie stage1) # images that tests take as directories

main() {
  local why status=0
  if why=$(what_is_missing); then
    "$HERE/merge_results" --skip "$why" --output "${XML_OUTPUT_FILE:?}"
    return
  fi
  yield_processors
  WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/davit-vm-test.XXXXXX")
  trap 'rm -rf --one-file-system "$WORK"' EXIT
  TIMEFORMAT='@@ payload: %R s, %U s of a processor'
  time make_payload
  truncate -s "${RESULTS_MIB}M" "$WORK/results.tar"
  TIMEFORMAT='@@ qemu: %R s, %U s of a processor'
  time "$HERE/boot-host" "$LAYOUT" "$WORK/payload.ext4" "$WORK/results.tar" \
    "$WORK" || status=$?
  [ "$status" -eq 0 ] || echo "qemu: status $status"
  unpack_results
  "$HERE/merge_results" --plan "$PLAN" --output "${XML_OUTPUT_FILE:?}" \
    "$WORK/results"
}

# Of three on two processors the longest must not wait for the others, or it ends
# alone. A nice value holds within a session only, where the kernel groups by
# them (autogroup, sched(7)).
yield_processors() {
  [ "$LAYOUT" != v2 ] || return 0
  renice -n 10 $$ >/dev/null
  { echo 10 >/proc/$$/autogroup; } 2>/dev/null || true
}

# Prints what this machine lacks; status 1 if nothing.
what_is_missing() {
  local name
  for name in "${UNPACKED[@]}"; do
    if [ ! -e "$IMAGES/$name.tar" ]; then
      echo "no root images in $IMAGES: deploy/test makes them"
      return
    fi
  done
  if [ ! -e "$DAVIT_VM/root.ext4" ]; then
    echo "needs the VM's disk in $DAVIT_VM: run tests/vm/make-host"
  elif ! command -v qemu-system-x86_64 >/dev/null; then
    echo "needs qemu-system-x86_64"
  else
    return 1
  fi
}

# A read-only disk with the programs, deploy/ and the images.
make_payload() {
  local payload=$WORK/payload
  mkdir -p "$payload/runfiles"
  cp -rL "$RUNFILES" "$payload/runfiles/davit"
  mv "$payload/runfiles/davit/deploy" "$WORK/deploy"
  mkdir "$payload/repo"
  mv "$WORK/deploy" "$payload/repo/deploy"
  cp -rL "$IMAGES" "$payload/images"
  unpack_images "$payload/images"
  cp "$PLAN" "$payload/plan"
  cp "$HERE/guest-run" "$payload/guest-run"
  mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$payload" "$WORK/payload.ext4" \
    "$(($(du -sm "$payload" | cut -f1) * 5 / 4 + 32))M"
  rm -rf --one-file-system "$payload"
}

# Tests of single modules take an image as a directory; here that is quick.
unpack_images() {
  local name
  for name in "${UNPACKED[@]}"; do
    mkdir "$1/$name"
    tar --numeric-owner -C "$1/$name" -xf "$1/$name.tar"
  done
}

unpack_results() {
  mkdir "$WORK/results"
  if ! tar -C "$WORK/results" -xf "$WORK/results.tar" 2>/dev/null; then
    echo "the VM has written no results; the end of its console:"
    tail -n 60 "$WORK/console.log"
  fi
  # Bazel keeps what is here.
  if [ -n "${TEST_UNDECLARED_OUTPUTS_DIR:-}" ]; then
    cp -r "$WORK/results" "$WORK/console.log" "$TEST_UNDECLARED_OUTPUTS_DIR/"
  fi
}

main
