#ifndef DAVIT_RUNTIME_IMAGE_TAR_BUILDER_H_
#define DAVIT_RUNTIME_IMAGE_TAR_BUILDER_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace davit::testing {

enum class Compression { kNone, kGzip, kZstd, kXz };

struct TarEntry {
  std::string path;  // written as it is, however hostile
  mode_t mode = S_IFREG | 0644;
  std::string data;      // of regular files
  std::string symlink;   // its target
  std::string hardlink;  // its target; `mode` does not matter then
  int64_t uid = 0;
  int64_t gid = 0;
  int64_t mtime = 1000000000;
  long mtime_nsec = 0;
  dev_t device = 0;
  std::map<std::string, std::string> xattrs;
};

// Makes tars in memory, honest and hostile ones.
//   std::string tar = TarBuilder().Dir("etc").File("etc/x", "data").Build();
class TarBuilder {
 public:
  TarBuilder& Add(TarEntry entry);
  TarBuilder& Dir(const std::string& path, mode_t mode = 0755);
  TarBuilder& File(const std::string& path, const std::string& data = "",
                   mode_t mode = 0644);
  TarBuilder& Symlink(const std::string& path, const std::string& target);
  TarBuilder& HardLink(const std::string& path, const std::string& target);

  std::string Build(Compression compression = Compression::kNone) const;

 private:
  std::vector<TarEntry> entries_;
};

// A tar of the regular files and directories below `directory`.
std::string TarOfDirectory(const std::string& directory);

}  // namespace davit::testing

#endif  // DAVIT_RUNTIME_IMAGE_TAR_BUILDER_H_
