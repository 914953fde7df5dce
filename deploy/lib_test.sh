#!/usr/bin/env bash
# Tests of lib.sh, in a directory of their own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export DAVIT_ROOT=$work/run/davit/root DAVIT_STATE=$work/state
export DAVIT_ETC=$work/etc/davit DAVIT_LIBEXEC=$work/libexec
export DAVIT_METRICS=127.0.0.1:1 DAVIT_CGROUP=other
# shellcheck source=deploy/lib.sh
source "$here/lib.sh"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# expect WHAT GOT WANTED
expect() { [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"; }

test_install_file_says_whether_it_changed_something() {
  echo one >"$work/source"
  install_file 750 "$work/source" "$work/new/target" || fail "first install"
  expect mode "$(stat -c %a "$work/new/target")" 750
  ! install_file 750 "$work/source" "$work/new/target" || fail "same again"
  install_file 700 "$work/source" "$work/new/target" || fail "other mode"
  echo two >"$work/source"
  install_file 700 "$work/source" "$work/new/target" || fail "other content"
  expect content "$(<"$work/new/target")" two
  expect leftovers "$(ls -A "$work/new")" target
}

test_install_file_dies_of_an_unreadable_source() {
  local output status=0
  output=$( (install_file 644 "$work/absent" "$work/new/x") 2>&1) || status=$?
  expect status "$status" 1
  [[ $output == *"cannot write"* ]] || fail "no reason given: $output"
}

test_relocate_moves_every_place_once() {
  local config
  config=$(relocate "$here/config/davitd.conf.json")
  [[ $config == *"\"root\": \"$DAVIT_ROOT\""* ]] || fail "root: $config"
  [[ $config == *"unix://$DAVIT_STATE/davit.sock"* ]] || fail "state: $config"
  [[ $config == *"\"metrics\": \"127.0.0.1:1\""* ]] || fail "metrics: $config"
  [[ $config == *"\"cgroup-parent\": \"other\""* ]] || fail "cgroup: $config"
  [[ $config == *"\"$DAVIT_LIBEXEC/cni\""* ]] || fail "libexec: $config"
  ! grep -qE '"(/usr|/var|/etc|/run)/' <<<"$config" || fail "left: $config"
}

test_configurations_are_json() {
  local file
  for file in "$here"/config/*.json "$here"/cni/*.conflist; do
    python3 -I -m json.tool "$file" >"$work/json" || fail "$file"
  done
}

# Runs as if without systemd: a process of its own, no real agent.
test_the_agent_is_known_by_pid_and_start_time() {
  local pid
  host_has_systemd() { false; }
  ! agent_is_running || fail "running before its start"
  mkdir -p "$DAVIT_LIBEXEC"
  printf '#!/bin/sh\nexec sleep 60\n' >"$DAVIT_LIBEXEC/davitd"
  chmod 755 "$DAVIT_LIBEXEC/davitd"
  DAVIT_LOG=$work/log
  start_agent
  pid=$(agent_pid) || fail "not running after its start"
  kill -0 "$pid"
  echo "$pid 1" >"$AGENT_PID_FILE"
  ! agent_is_running || fail "a stranger with the same pid was taken for it"
  echo "$pid $(start_time_of "$pid")" >"$AGENT_PID_FILE"
  stop_agent
  ! agent_is_running || fail "running after its stop"
  ! start_time_of "$pid" || fail "pid $pid is still there"
}

test_a_failed_quiet_command_shows_its_output() {
  local output status=0
  output=$(quietly "$work/logs/x" sh -c 'echo because; exit 7' 2>&1) ||
    status=$?
  expect status "$status" 7
  [[ $output == *because* ]] || fail "no reason given: $output"
  expect silence "$(quietly "$work/logs/x" echo fine 2>&1)" ""
}

for t in $(declare -F | awk '$3 ~ /^test_/ { print $3 }'); do
  "$t"
  echo "ok $t"
done
