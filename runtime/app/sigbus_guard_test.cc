#include "runtime/app/sigbus_guard.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

namespace davit {
namespace {

// A map of two pages whose file has none any more.
class LostFile {
 public:
  LostFile() {
    char path[] = "/tmp/davit-sigbus-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    EXPECT_EQ(ftruncate(fd, 8192), 0);
    map_ =
        static_cast<char*>(mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd, 0));
    EXPECT_EQ(ftruncate(fd, 0), 0);
    close(fd);
  }
  ~LostFile() { munmap(map_, 8192); }
  char Read(size_t offset) const {
    return *static_cast<volatile const char*>(map_ + offset);
  }

 private:
  char* map_;
};

TEST(SigbusGuardTest, LostPagesReadAsZeros) {
  LostFile file;
  SigbusGuard guard;
  EXPECT_FALSE(guard.Hit());
  EXPECT_EQ(file.Read(5), 0);
  EXPECT_EQ(file.Read(4096 + 5), 0);
  EXPECT_TRUE(guard.Hit());
  SigbusGuard later;
  EXPECT_FALSE(later.Hit());
}

TEST(SigbusGuardDeathTest, OtherThreadsStillDie) {
  EXPECT_DEATH(
      {
        LostFile file;
        SigbusGuard guard;
        std::thread([&] { file.Read(0); }).join();
      },
      "");
}

TEST(SigbusGuardDeathTest, AfterTheGuardItIsDeadlyAgain) {
  EXPECT_DEATH(
      {
        LostFile file;
        { SigbusGuard guard; }
        file.Read(0);
      },
      "");
}

}  // namespace
}  // namespace davit
