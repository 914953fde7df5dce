#ifndef DAVIT_RUNTIME_IMAGE_IMAGE_STORE_H_
#define DAVIT_RUNTIME_IMAGE_IMAGE_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace davit {

// The part of an OCI image configuration that running it needs
// (image-spec/config.md). Empty for plain root file systems.
struct ImageConfig {
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env;  // "K=V"
  std::string working_dir;
  std::string user;         // "", "name", "uid", "name:group", "uid:gid"
  std::string stop_signal;  // "SIGQUIT", "3" or empty
  std::vector<std::string> exposed_ports;  // "80/tcp"
  std::map<std::string, std::string> labels;
  std::string architecture;
  std::string os;
};

struct Image {
  // "sha256:<hex>", the digest of the image's configuration: what docker and
  // CRI call the image id.
  std::string id;
  // Normalised references, "docker.io/library/nginx:latest"; may be empty.
  std::vector<std::string> names;
  ImageConfig config;
  std::vector<std::string> layers;  // diff ids, bottom first
  uint64_t size_bytes = 0;          // unpacked, shared layers counted in full
  absl::Time imported_at;
  // Has an executable /sbin/init, /usr/lib/systemd/systemd or
  // /lib/systemd/systemd: can be a pod's root image.
  bool bootable = false;
};

enum class ImageFormat {
  kAuto,           // by looking at it
  kOciLayout,      // a directory with oci-layout and index.json
  kOciArchive,     // a tar (plain, gzip, zstd, xz) of such a directory
  kDockerArchive,  // "docker save"
  kRootfsTar,      // a tar of a root file system
  kRootfsDirectory,
};

struct ImportRequest {
  std::string path;  // absolute, on this machine
  // Reference to give to the image; empty: those that the archive names, else
  // the file's base name without extensions. With several images in one
  // archive it must be empty.
  std::string name;
  ImageFormat format = ImageFormat::kAuto;
  // Called with bytes read so far; may be null. Return false to cancel.
  std::function<bool(uint64_t)> progress;
};

// "nginx" → "docker.io/library/nginx:latest", "localhost/x" stays local.
// InvalidArgument that names the reference if it is malformed.
absl::StatusOr<std::string> NormalizeImageName(const std::string& name);
// The short form for people: "docker.io/library/nginx:latest" → "nginx:latest".
std::string FamiliarImageName(const std::string& name);

// A hold on an image: while one exists the image cannot be removed. It may
// outlive the store.
class ImageHold {
 public:
  virtual ~ImageHold() = default;
  virtual const Image& image() const = 0;
  // Directories for overlay's lowerdir=, *topmost first*. Read only!
  virtual const std::vector<std::string>& lower_dirs() const = 0;
};

// Images on disk, content-addressed, no database:
//
//   <root>/blobs/sha256/<hex>      manifests and configurations
//   <root>/layers/<diff id hex>/   one unpacked layer each, shared by images:
//                                  rootfs/ and layer.json
//   <root>/l/<short>               symlinks to layers: short overlay options
//   <root>/images/<id hex>.json    what Image says; its rename is the commit
//   <root>/tmp/                    imports under way; emptied by Open
//   <root>/lock                    held (flock) by the one who has it open
//
// Layers are unpacked once, whiteouts become overlay's own (char 0:0 devices,
// trusted.overlay.opaque), owners, modes, times and xattrs are kept, no entry
// may escape its layer by "..", absolute or symlinked paths. Digests are
// verified while reading. Broken input is InvalidArgument/DataLoss that names
// the entry, and leaves nothing behind. Thread-safe; imports run in parallel.
class ImageStore {
 public:
  // Opens or creates the store (0700); removes what unfinished imports left.
  // FailedPrecondition while it is open elsewhere, DataLoss for a record that
  // cannot be read.
  static absl::StatusOr<std::unique_ptr<ImageStore>> Open(
      const std::string& root);

  virtual ~ImageStore() = default;

  // Imports all images of the file or directory. Importing the same content
  // again only adds names. A name moves from the image that had it.
  virtual absl::StatusOr<std::vector<Image>> Import(
      const ImportRequest& request) = 0;

  // By name (normalised or not), id, or unambiguous id prefix of at least four
  // digits (with or without "sha256:"). NotFound says what was looked for.
  virtual absl::StatusOr<Image> Get(const std::string& reference) = 0;

  virtual std::vector<Image> List() = 0;

  virtual absl::StatusOr<std::unique_ptr<ImageHold>> Hold(
      const std::string& reference) = 0;

  // Removes one name (when given a name of several) or the image with all its
  // unshared layers. FailedPrecondition while it is held.
  virtual absl::Status Remove(const std::string& reference) = 0;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_IMAGE_STORE_H_
