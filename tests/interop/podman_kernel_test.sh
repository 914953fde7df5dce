#!/usr/bin/env bash
# Our plugins under podman with its CNI backend (Go's libcni), in each version
# that it speaks: run on two networks with a port map, look, remove. Whichever
# plugin we do not have is Go's, so the chains may be mixed.
#
# All of it happens in a network and a mount namespace of the test's own, with
# podman's storage in a temporary directory; the pods' cgroups are below one
# that the test removes.
set -euo pipefail

readonly GO_PLUGINS=/usr/lib/cni
readonly TYPES="ptp host-local portmap firewall tuning"

main() {
  need_peers
  if [ "${1:-}" != --inside ]; then
    exec unshare --net --mount --propagation private "$0" --inside
  fi
  set_up
  trap tear_down EXIT
  local version
  for version in 0.3.1 0.4.0 1.0.0; do
    write_networks "$version"
    run_look_remove "$version"
  done
  echo "PASS"
}

need_peers() {
  local program
  for program in podman runc busybox curl nft; do
    command -v "$program" >/dev/null && continue
    echo "SKIP: needs $program"
    [ "${DAVIT_REQUIRE_ALL:-}" != 1 ] || exit 1
    exit 0
  done
}

set_up() {
  local binary type
  binary=$(realpath "$DAVIT_CNI")
  dir=$(mktemp -d /tmp/davit-podman-XXXXXX)
  cgroup=/davit-podman-${dir##*-}
  mkdir -p "$dir"/{bin,net.d,rootfs/{bin,proc,sys,dev,etc,tmp,run}}
  cp "$binary" "$dir/bin/davit-cni"
  for type in $TYPES; do install_plugin "$type"; done
  cp "$(command -v busybox)" "$dir/rootfs/bin/busybox"
  echo hello >"$dir/rootfs/index.html"
  write_containers_conf
  export CONTAINERS_CONF=$dir/containers.conf
  # What podman and libcni have fixed places for.
  mkdir -p /var/lib/cni /var/lib/containers
  mount -t tmpfs none /var/lib/cni
  mount -t tmpfs none /var/lib/containers
  mount -t tmpfs none /run
  ip link set lo up
}

# Ours, if we have one of this type.
install_plugin() {
  if CNI_COMMAND=VERSION "$dir/bin/davit-cni" "$1" </dev/null >/dev/null 2>&1
  then
    ln -s davit-cni "$dir/bin/$1"
  else
    ln -s "$GO_PLUGINS/$1" "$dir/bin/$1"
  fi
}

write_containers_conf() {
  cat >"$dir/containers.conf" <<END
[network]
network_backend = "cni"
cni_plugin_dirs = ["$dir/bin"]
network_config_dir = "$dir/net.d"
default_network = "first"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
END
}

write_networks() {
  write_network first "$1" 10.88.1 '"routes":[{"dst":"0.0.0.0/0"}],'
  write_network second "$1" 10.88.2 ''
}

write_network() {
  cat >"$dir/net.d/$1.conflist" <<END
{"cniVersion":"$2","name":"$1","plugins":[
  {"type":"ptp","ipMasq":true,"ipam":{"type":"host-local",$4
   "dataDir":"$dir/leases","subnet":"$3.0/24"}},
  {"type":"portmap","capabilities":{"portMappings":true}},
  {"type":"tuning"}]}
END
}

run_look_remove() {
  # Podman itself names the interfaces in whatever order it finds the networks.
  podman_ run --cgroup-parent "$cgroup" -d --name web \
    --network first:interface_name=eth0 --network second:interface_name=eth1 \
    -p 127.0.0.1:8080:80 --rootfs "$dir/rootfs" \
    /bin/busybox httpd -f -p 80 -h / >/dev/null
  local addresses netns
  # Not by `podman exec`, which loses output when the machine is busy.
  netns=$(podman_ inspect web --format '{{.NetworkSettings.SandboxKey}}')
  addresses=$(nsenter --net="$netns" ip -4 -o addr)
  expect "$1: two interfaces" 1 "$(grep -c 'eth0.*10\.88\.1\.' <<<"$addresses")"
  expect "$1: two interfaces" 1 "$(grep -c 'eth1.*10\.88\.2\.' <<<"$addresses")"
  expect "$1: leases" 2 "$(leases | wc -l)"
  expect "$1: node's ends" 2 "$(veths | wc -l)"
  expect "$1: masqueraded" 2 \
    "$(nft list set inet davit masq4 | grep -o ' eth[01]"' | wc -l)"
  expect "$1: port map" hello \
    "$(curl --silent --max-time 5 --retry 5 --retry-connrefused http://127.0.0.1:8080/index.html)"
  podman_ rm -f -t 0 web >/dev/null
  expect "$1: leases left" "" "$(leases)"
  expect "$1: links left" "" "$(veths)"
  expect "$1: cached results left" "" "$(ls /var/lib/cni/results)"
  expect "$1: nftables left" "" "$(nft list tables | grep davit || true)"
  echo "$1: ok"
}

podman_() {
  timeout 60 podman --root "$dir/root" --runroot "$dir/runroot" \
    --tmpdir "$dir/tmp" --storage-driver vfs "$@"
}

leases() { find "$dir/leases" -name '10.*'; }
veths() { ip -o link show type veth; }

expect() {
  [ "$2" = "$3" ] && return
  echo "FAIL: $1: want '$2', have '$3'"
  echo "the pod's addresses: ${addresses:-}"
  exit 1
}

# Busy until podman's last process has gone.
remove_cgroups() {
  local attempt
  for attempt in {1..50}; do
    find /sys/fs/cgroup -depth -type d -path "*$cgroup*" -exec rmdir {} + \
      2>/dev/null || true
    [ -n "$(find /sys/fs/cgroup -type d -path "*$cgroup*")" ] || return 0
    sleep 0.1
  done
  echo "FAIL: cgroups left after $attempt attempts: $cgroup"
  return 1
}

tear_down() {
  podman_ rm -f -t 0 -i web >/dev/null 2>&1 || true
  remove_cgroups
  umount --lazy /run /var/lib/cni /var/lib/containers
  rm -rf --one-file-system "$dir"
}

main "$@"
