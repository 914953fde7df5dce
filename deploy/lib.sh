# shellcheck shell=bash
# What the scripts of deploy/ share. Sourced, never run.
#
# Every place that davit uses is named here, once, and each may be set in the
# environment: several agents can live on one machine, each with its own set.
# shellcheck disable=SC2034  # used by the scripts that source this file

DAVIT_REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

davit_cache() {
  if [ "$(id -u)" -eq 0 ]; then
    echo /var/cache/davit
  else
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/davit"
  fi
}

DAVIT_BIN=${DAVIT_BIN:-/usr/bin}                  # davitctl
DAVIT_LIBEXEC=${DAVIT_LIBEXEC:-/usr/libexec/davit} # davitd and its helpers
DAVIT_ETC=${DAVIT_ETC:-/etc/davit}                # davitd.conf.json, net.d/
DAVIT_ROOT=${DAVIT_ROOT:-/var/lib/davit}          # images, pods, leases
DAVIT_STATE=${DAVIT_STATE:-/run/davit}            # socket, pins, pid file
DAVIT_LOG=${DAVIT_LOG:-/var/log/davit}            # davitd.log without systemd
DAVIT_CACHE=${DAVIT_CACHE:-$(davit_cache)}        # root images, bazel
DAVIT_CGROUP=${DAVIT_CGROUP:-davit}               # parent cgroup of all pods
DAVIT_UNIT=${DAVIT_UNIT:-davitd}                  # systemd unit's name
DAVIT_METRICS=${DAVIT_METRICS:-127.0.0.1:9411}    # Prometheus endpoint
DAVIT_SYSTEMD_DIR=${DAVIT_SYSTEMD_DIR:-/etc/systemd/system}
DAVIT_SYSCTL_DIR=${DAVIT_SYSCTL_DIR:-/etc/sysctl.d}
DAVIT_SUITE=${DAVIT_SUITE:-bookworm}              # Debian release in the images

DAVIT_ADDRESS=unix://$DAVIT_STATE/davit.sock
DAVIT_IMAGES=$DAVIT_CACHE/images
DAVIT_IMAGES_CURRENT=${DAVIT_IMAGES_CURRENT:-$DAVIT_IMAGES/current}
DAVIT_STAGE1_IMAGE=localhost/davit/stage1:latest
DAVIT_DEMO_IMAGE=localhost/davit/demo:latest
DAVIT_BUSYBOX_IMAGE=localhost/davit/busybox:latest

# --- words -------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

warn() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

die() {
  warn "$*"
  exit 1
}

# phases N: how many `phase` lines follow.
phases() {
  PHASE_COUNT=$1
  PHASE_NUMBER=0
  PHASE_NAMES=()
  PHASE_STARTS=()
}

# phase NAME [REMARK]: prints "[3/8] NAME (REMARK)" and starts its clock.
phase() {
  PHASE_NUMBER=$((PHASE_NUMBER + 1))
  PHASE_NAMES+=("$1")
  PHASE_STARTS+=("$EPOCHREALTIME")
  say "[$PHASE_NUMBER/$PHASE_COUNT] $1${2:+ ($2)}"
}

# Prints how long each phase took, and all of them together.
phase_times() {
  local i end now=$EPOCHREALTIME
  for i in "${!PHASE_NAMES[@]}"; do
    end=${PHASE_STARTS[i + 1]:-$now}
    printf '  %-28s %8.2f s\n' "${PHASE_NAMES[i]}" \
      "$(seconds_between "${PHASE_STARTS[i]}" "$end")"
  done
  printf '  %-28s %8.2f s\n' total \
    "$(seconds_between "${PHASE_STARTS[0]}" "$now")"
}

# seconds_between FROM TO: both as EPOCHREALTIME has them.
seconds_between() {
  awk -v from="$1" -v to="$2" 'BEGIN { printf "%.3f", to - from }'
}

# quietly LOG COMMAND...: runs it with its output in LOG; shows the end of LOG
# if it fails.
quietly() {
  local log=$1 status=0
  shift
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 || status=$?
  [ "$status" -eq 0 ] && return 0
  tail -n 25 "$log" >&2
  warn "'$1' failed with status $status; all of its output is in $log"
  return "$status"
}

# --- machine -----------------------------------------------------------------

require_root() {
  [ "$(id -u)" -eq 0 ] || die "this needs root: run it with sudo"
}

require_debian() {
  local id version
  id=$(. /etc/os-release && echo "${ID:-unknown}")
  version=$(. /etc/os-release && echo "${VERSION_ID:-0}")
  if [ "$id" != debian ] || [ "${version%%.*}" -lt 12 ]; then
    die "davit needs Debian 12 or later; this is '$id $version'"
  fi
}

# require_disk PATH GIB: PATH's file system has that much free.
require_disk() {
  local path=$1 free
  while [ ! -d "$path" ]; do path=$(dirname "$path"); done
  free=$(df --output=avail -B1M "$path" | tail -n 1)
  [ "$free" -ge $(($2 * 1024)) ] ||
    die "$1 needs $2 GiB free, there are $((free / 1024)) GiB"
}

host_has_systemd() { [ -d /run/systemd/system ]; }

# as_new PATH: a temporary name beside PATH, to be renamed over it.
as_new() { printf '%s/.tmp-%s.%d' "$(dirname "$1")" "$(basename "$1")" $$; }

# install_file MODE SOURCE TARGET: atomically. Status 0 if TARGET changed, 1 if it
# was the same already.
install_file() {
  local temporary
  if cmp -s "$2" "$3" && [ "$(stat -c %a "$3")" = "$1" ]; then return 1; fi
  temporary=$(as_new "$3")
  # Callers test our status, so `set -e` is off in here.
  mkdir -p "$(dirname "$3")" || die "cannot make the directory of $3"
  install -m "$1" "$2" "$temporary" || die "cannot write $temporary"
  mv -f "$temporary" "$3" || die "cannot replace $3"
}

# relocate FILE: FILE of deploy/ with its default places replaced by those that
# are set above, on standard output.
relocate() {
  sed -e 's#/usr/libexec/davit#@libexec@#g; s#/etc/davit#@etc@#g' \
    -e 's#/var/lib/davit#@root@#g; s#/run/davit#@state@#g' \
    -e "s#@libexec@#$DAVIT_LIBEXEC#g; s#@etc@#$DAVIT_ETC#g" \
    -e "s#@root@#$DAVIT_ROOT#g; s#@state@#$DAVIT_STATE#g" \
    -e "s#127\.0\.0\.1:9411#$DAVIT_METRICS#g" \
    -e "/\"cgroup-parent\"/s#: \"davit\"#: \"$DAVIT_CGROUP\"#" "$1"
}

davitctl() { "$DAVIT_BIN/davitctl" --address "$DAVIT_ADDRESS" "$@"; }

# --- the agent ---------------------------------------------------------------
#
# Under systemd it is a unit. Elsewhere it is a process of its own session,
# known by its pid and start time (a bare pid may be somebody else's by now).

AGENT_PID_FILE=$DAVIT_STATE/davitd.pid

start_time_of() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) } # the name may hold anything, ")" too
  cut -d' ' -f20 <<<"$stat"
}

# agent_pid: prints the pid of the running agent; status 1 if there is none.
agent_pid() {
  local pid start
  [ -e "$AGENT_PID_FILE" ] || return 1
  read -r pid start <"$AGENT_PID_FILE" || return 1
  [ "$(start_time_of "$pid")" = "$start" ] && echo "$pid"
}

agent_is_running() {
  if host_has_systemd; then
    systemctl --quiet is-active "$DAVIT_UNIT"
  else
    agent_pid >/dev/null
  fi
}

start_agent() {
  local pid
  if host_has_systemd; then
    systemctl start "$DAVIT_UNIT"
    return
  fi
  mkdir -p "$DAVIT_STATE" "$DAVIT_LOG"
  setsid "$DAVIT_LIBEXEC/davitd" --config "$DAVIT_ETC/davitd.conf.json" \
    </dev/null >>"$DAVIT_LOG/davitd.log" 2>&1 &
  pid=$!
  echo "$pid $(start_time_of "$pid")" >"$AGENT_PID_FILE"
}

# Ends the agent alone; its pods stay.
stop_agent() {
  local pid
  if host_has_systemd; then
    systemctl stop "$DAVIT_UNIT"
    return
  fi
  pid=$(agent_pid) || return 0
  kill -TERM "$pid"
  timeout 30 tail --sleep-interval=0.1 --pid="$pid" -f /dev/null ||
    die "davitd (pid $pid) has not ended 30 s after SIGTERM"
  rm -f "$AGENT_PID_FILE"
}

# wait_for_agent SECONDS: until it answers; fails at once if it has ended.
wait_for_agent() {
  local deadline=$((SECONDS + $1))
  until davitctl version >/dev/null 2>&1; do
    agent_is_running || die "davitd ended while starting; $(agent_log_hint)"
    [ "$SECONDS" -lt "$deadline" ] ||
      die "davitd does not answer on $DAVIT_ADDRESS; $(agent_log_hint)"
    sleep 0.1
  done
}

agent_log_hint() {
  if host_has_systemd; then
    echo "see: journalctl -u $DAVIT_UNIT"
  else
    echo "see $DAVIT_LOG/davitd.log"
  fi
}

# --- bazel -------------------------------------------------------------------

# Where Bazel keeps what it knows of this repository. By the repository's path:
# Bazel does not renew the links of a test's runfiles when another one takes over
# its output base.
bazel_base() {
  echo "$DAVIT_CACHE/bazel/base-$(sha256sum <<<"$DAVIT_REPO" | cut -c1-8)"
}

# Runs Bazel on this repository, with the output base that all its scripts share
# and the disk cache of all repositories. `bazel_davit COMMAND ARGS...`
bazel_davit() {
  local command=$1
  shift
  mkdir -p "$DAVIT_CACHE/bazel"
  (cd "$DAVIT_REPO" && bazel --output_base="$(bazel_base)" \
    --max_idle_secs=60 "$command" --disk_cache="$DAVIT_CACHE/bazel/disk" \
    --symlink_prefix=/ "$@")
}
