// A directory of leases that holds anything. The input is records between lines
// "--": the first line is a letter (f: file, l: symbolic link, d: directory, p:
// FIFO) and a name, the rest the content or the link's target.

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "net/ipam/allocator.h"
#include "net/ipam/disk_lease_store.h"
#include "runtime/base/file.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

constexpr size_t kMaxRecords = 16;
constexpr size_t kMaxName = 60;
const LeaseOwner kOwner{"pod", "eth0"};

void WriteFile(const std::string& path, const std::string& content) {
  // The name may be that of a FIFO already, which nobody reads.
  UniqueFd fd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600));
  if (fd) WriteAll(fd.get(), content).IgnoreError();
}

void Create(const std::string& directory, const std::string& record) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(record, absl::MaxSplits('\n', 1));
  const std::string& head = parts.first;
  if (head.size() < 2 || head.size() > kMaxName ||
      head.find_first_of(std::string("/\0", 2)) != std::string::npos) {
    return;
  }
  const std::string path = directory + "/" + head.substr(1);
  if (head[0] == 'f') WriteFile(path, parts.second);
  if (head[0] == 'd') mkdir(path.c_str(), 0700);
  if (head[0] == 'p') mkfifo(path.c_str(), 0600);
  // Never out of the directory.
  if (head[0] == 'l' && parts.second.find('/') == std::string::npos &&
      symlink(parts.second.c_str(), path.c_str()) < 0) {
    return;  // the name is taken
  }
}

bool Has(const std::vector<Lease>& leases, const Lease& lease) {
  return std::find(leases.begin(), leases.end(), lease) != leases.end();
}

std::vector<Lease> List(LeaseStore* store) {
  auto lock = store->Lock();
  FUZZ_CHECK(lock.ok());
  absl::StatusOr<std::vector<Lease>> leases = store->List();
  FUZZ_CHECK(leases.ok());
  return *leases;
}

RangeSet SmallSet() {
  Range range = *Range::Create({*IpPrefix::Parse("10.1.2.0/29"), {}, {}, {}});
  return *RangeSet::Create({range});
}

// The quick way to one owner's leases must find what the slow one finds.
void CheckListOf(DiskLeaseStore* store) {
  for (const LeaseOwner& owner : {kOwner, LeaseOwner{"other", "eth0"}}) {
    const std::vector<Lease> slow = LeasesOf(List(store), owner);
    auto lock = store->Lock();
    absl::StatusOr<std::vector<Lease>> quick = store->ListOf(owner);
    FUZZ_CHECK(quick.ok());
    FUZZ_CHECK(*quick == slow);
  }
}

// Adds and deletes, which must touch nobody else's leases.
void AddAndDelete(DiskLeaseStore* store) {
  const std::vector<Lease> before = List(store);
  Allocator allocator(store, {SmallSet()});
  auto allocated = allocator.Allocate(kOwner, {});
  if (!allocated.ok()) {
    FUZZ_CHECK(List(store) == before);
    return;
  }
  FUZZ_CHECK(allocated->size() == 1);
  const Lease lease{allocated->front().address.address, kOwner};
  const std::vector<Lease> held = List(store);
  FUZZ_CHECK(Has(held, lease));
  FUZZ_CHECK(held.size() == before.size() + 1);
  FUZZ_CHECK(store->LastReserved(0) == lease.address);
  CheckListOf(store);
  FUZZ_CHECK(ReleaseLeases(store, kOwner).ok());
  const std::vector<Lease> after = List(store);
  for (const Lease& other : before) {
    FUZZ_CHECK(other.owner == kOwner || Has(after, other));
  }
  for (const Lease& other : after) FUZZ_CHECK(other.owner != kOwner);
}

}  // namespace
}  // namespace davit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace davit;
  static const testing::TempDir temp("/dev/shm");
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::string directory = temp / "net";
  FUZZ_CHECK(RemoveTree(directory).ok());
  FUZZ_CHECK(MakeDirectories(directory).ok());
  std::vector<std::string> records = absl::StrSplit(text, "\n--\n");
  records.resize(std::min(records.size(), kMaxRecords));
  for (const std::string& record : records) Create(directory, record);
  auto store = DiskLeaseStore::OpenExisting(temp.path(), "net");
  FUZZ_CHECK(store.ok());
  // A directory or link in the lock's place is refused, not followed.
  if (!(*store)->Lock().ok()) return 0;
  CheckListOf(store->get());
  AddAndDelete(store->get());
  HasFreeAddresses(store->get(), {SmallSet()}).status().IgnoreError();
  FUZZ_CHECK(ReleaseLeasesExcept(store->get(), {}).ok());
  FUZZ_CHECK(List(store->get()).empty());
  return 0;
}
