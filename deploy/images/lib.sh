# shellcheck shell=bash
# What the image scripts share. Sourced, never run.
#
#   $DAVIT_IMAGES/<name>-<key>.tar   an image; its rename is the commit
#   $DAVIT_IMAGES/current/<name>.tar a symlink to the newest
#
# <key> is a hash of everything in the tree that decides the content.

# shellcheck source=deploy/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
IMAGE_SOURCES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# image_main NAME BUILD_FUNCTION INPUT...: makes image NAME unless it is in the
# cache. BUILD_FUNCTION WORK OUTPUT writes the file OUTPUT; WORK is an empty
# directory that is removed afterwards. INPUTs decide the key.
image_main() {
  local name=$1 build=$2 key file
  shift 2
  require_root
  key=$(image_key "$@")
  file=$DAVIT_IMAGES/$name-$key.tar
  if [ -e "$file" ]; then
    say "  $name: cached ($(size_of "$file"))"
  else
    image_build "$name" "$build" "$file"
  fi
  image_publish "$name" "$file"
}

# A subshell, so that its EXIT trap cleans up after this image, also on failure.
image_build() (
  name=$1 build=$2 file=$3 start=$EPOCHREALTIME
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/davit-$name.XXXXXX")
  part=$(as_new "$file")
  trap 'rm -rf --one-file-system "$work"; rm -f "$part"' EXIT
  chmod 755 "$work"
  mkdir -p "$DAVIT_IMAGES"
  "$build" "$work" "$part"
  mv "$part" "$file"
  say "  $name: built in $(seconds_between "$start" "$EPOCHREALTIME") s" \
    "($(size_of "$file"))"
)

# Points current/ at FILE and removes what it replaces.
image_publish() {
  local name=$1 file=$2 link=$DAVIT_IMAGES_CURRENT/$1.tar old
  mkdir -p "$DAVIT_IMAGES_CURRENT"
  ln -sfn "../$(basename "$file")" "$(as_new "$link")"
  mv -Tf "$(as_new "$link")" "$link"
  # The key has no dash: "machine-*" would be "machine-trixie" as well.
  for old in "$DAVIT_IMAGES/$name"-*.tar; do
    [[ ${old#"$DAVIT_IMAGES/$name"-} == *-* ]] && continue
    [ "$old" = "$file" ] || rm -f "$old"
  done
}

# A hash of the suite, of this file and of all INPUT files and directories.
image_key() {
  (cd "$IMAGE_SOURCES" &&
    {
      echo "$DAVIT_SUITE $(dpkg --print-architecture)"
      find lib.sh "$@" -type f -print0 | sort -z | xargs -0 sha256sum
    }) | sha256sum | cut -c1-16
}

size_of() { du -h --apparent-size "$1" | cut -f1; }

# Prints "deb" lines of the Debian mirrors that this machine uses, for
# $DAVIT_SUITE: the release itself and its security updates.
debian_mirrors() {
  # shellcheck disable=SC2016  # apt expands these
  apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(SITE)' \
    'Created-By: Packages' | sort -u | awk -v suite="$DAVIT_SUITE" '
      $1 != "Debian" { next }
      $2 ~ /-security$/ { security = $3; next }
      $2 !~ /-/ { main = $3 }
      END {
        if (main == "") main = "http://deb.debian.org/debian"
        print "deb " main " " suite " main"
        if (security != "") print "deb " security " " suite "-security main"
      }'
}

# debian_root DIRECTORY VARIANT PACKAGES [MMDEBSTRAP OPTION...]: fills the
# directory by mmdebstrap.
debian_root() {
  local directory=$1 variant=$2 packages=$3
  shift 3
  debian_mirrors | quietly "$DAVIT_IMAGES/log/mmdebstrap-$variant.log" \
    mmdebstrap --mode=root --variant="$variant" --include="$packages" \
    --aptopt='Acquire::Languages "none"' \
    "$@" "$DAVIT_SUITE" "$directory" -
}

# A container's identity comes from its manager: an empty machine-id, no host
# name and no resolver of the building machine.
forget_identity() {
  : >"$1/etc/machine-id"
  rm -f "$1/etc/hostname" "$1/etc/resolv.conf" \
    "$1/var/lib/dbus/machine-id" "$1/etc/ssh"/ssh_host_*_key*
}

# archive_root ROOT OUTPUT: the same bytes for the same tree.
archive_root() {
  tar --create --file="$2" --directory="$1" --sort=name --numeric-owner \
    --xattrs --acls --mtime=@"${SOURCE_DATE_EPOCH:-0}" --clamp-mtime .
}
