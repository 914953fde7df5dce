#include <gmock/gmock.h>

#include <string>

#include "runtime/image/image_store.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kDigest = "sha256:" + std::string(64, 'a');

TEST(ImageName, Normalizes) {
  struct Case {
    std::string name, normal, familiar;
  };
  Case cases[] = {
      {"nginx", "docker.io/library/nginx:latest", "nginx:latest"},
      {"nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25"},
      {"grafana/loki", "docker.io/grafana/loki:latest", "grafana/loki:latest"},
      {"docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"},
      {"index.docker.io/library/nginx", "docker.io/library/nginx:latest",
       "nginx:latest"},
      {"localhost/x", "localhost/x:latest", "localhost/x:latest"},
      {"localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"},
      {"quay.io/a/b/c", "quay.io/a/b/c:latest", "quay.io/a/b/c:latest"},
      {"Registry/x", "Registry/x:latest", "Registry/x:latest"},
      {"10.0.0.1:80/x", "10.0.0.1:80/x:latest", "10.0.0.1:80/x:latest"},
      {"[fd00::1]:80/x", "[fd00::1]:80/x:latest", "[fd00::1]:80/x:latest"},
      {"nginx@" + kDigest, "docker.io/library/nginx@" + kDigest,
       "nginx@" + kDigest},
      {"nginx:1@" + kDigest, "docker.io/library/nginx:1@" + kDigest,
       "nginx:1@" + kDigest},
      {"a.b_c__d---e", "docker.io/library/a.b_c__d---e:latest",
       "a.b_c__d---e:latest"},
      {"x:A_b.C-1", "docker.io/library/x:A_b.C-1", "x:A_b.C-1"},
      // Short forms that would read back as something else stay long.
      {"docker.io/localhost/x", "docker.io/localhost/x:latest",
       "docker.io/localhost/x:latest"},
      {"docker.io/a.b/x", "docker.io/a.b/x:latest", "docker.io/a.b/x:latest"},
      {"docker.io/library/a/b", "docker.io/library/a/b:latest",
       "library/a/b:latest"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    ASSERT_OK_AND_ASSIGN(std::string normal, NormalizeImageName(c.name));
    EXPECT_EQ(normal, c.normal);
    EXPECT_EQ(*NormalizeImageName(normal), normal);
    EXPECT_EQ(FamiliarImageName(normal), c.familiar);
    EXPECT_EQ(*NormalizeImageName(c.familiar), normal);
  }
}

TEST(ImageName, RefusesMalformedOnes) {
  std::string cases[] = {"",
                         "Nginx",
                         "a//b",
                         "/a",
                         "a/",
                         "a..b",
                         "a._b",
                         "a___b",
                         "-a",
                         "a-",
                         "a b",
                         "a:",
                         "a:.x",
                         "a:" + std::string(129, 't'),
                         "a@",
                         "a@sha256:short",
                         "a@sha512:" + std::string(128, 'a'),
                         "host-:80/a",
                         "host:port/a",
                         "-host.x/a",
                         "[zz]:1/a",
                         "../etc",
                         "a/../b",
                         "a\nb",
                         std::string("a\0b", 3),
                         std::string(300, 'a'),
                         std::string(64, 'a'),
                         kDigest};
  for (const std::string& name : cases) {
    SCOPED_TRACE(name);
    EXPECT_THAT(NormalizeImageName(name),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("image name \"" + name + "\""),
                               HasSubstr("is malformed: "))));
    EXPECT_EQ(FamiliarImageName(name), name);
  }
}

}  // namespace
}  // namespace davit
