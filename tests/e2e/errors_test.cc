// What goes wrong is told by name, in bounded time, and leaves nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "tests/e2e/node_test_base.h"

namespace davit::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ErrorsTest : public NodeTest {
 protected:
  // The run must fail, within a minute, with all of the words; no pod is left
  // and the host is as it was.
  void ExpectRefused(const ShellResult& result,
                     const std::vector<std::string>& words) {
    EXPECT_EQ(result.code, 1) << result.out << result.err;
    for (const std::string& word : words) {
      EXPECT_THAT(result.err, HasSubstr(word));
    }
    EXPECT_EQ(node().Ctl({"get", "pods"}).err, "No resources found.\n");
    EXPECT_THAT(Difference(before(), node().Snapshot()), IsEmpty());
  }
  ShellResult Run(const std::vector<std::string>& more) {
    std::vector<std::string> args = {"run", "bad"};
    args.insert(args.end(), more.begin(), more.end());
    return node().Ctl(args, "", absl::Minutes(1));
  }
  // A plugin that is a shell script.
  void WritePlugin(const std::string& name, const std::string& script) {
    std::string path = node().bin_dir() + "/" + name;
    ASSERT_TRUE(WriteFileAtomic(path, "#!/bin/sh\n" + script, 0755).ok());
  }
  void WriteNetworkOf(const std::string& name, const std::string& plugin) {
    node().WriteNetwork(
        name, absl::StrCat("{\"cniVersion\":\"1.0.0\",\"name\":\"", name,
                           "\",\"plugins\":[{\"type\":\"", plugin, "\"}]}"));
  }
};

TEST_F(ErrorsTest, InvalidSpecsNameTheField) {
  struct Case {
    const char* spec;
    const char* path;
  };
  for (const Case& c :
       {Case{"{containers: [{name: A_b, image: x}]}",
             "spec.containers[0].name"},
        Case{"{containers: [{name: a, image: x}, {name: a, image: x}]}",
             "spec.containers[1].name"},
        Case{"{containers: [{name: a}]}", "spec.containers[0].image"},
        Case{"{containers: []}", "spec.containers"},
        Case{"{restartPolicy: Sometimes, containers: [{name: a, image: x}]}",
             "spec.restartPolicy"},
        Case{"{containers: [{name: a, image: x, workingDir: rel}]}",
             "spec.containers[0].workingDir"},
        Case{"{containers: [{name: a, image: x, tty: true}]}",
             "spec.containers[0].tty"}}) {
    ShellResult r = node().Ctl(
        {"apply", "-f", "-"},
        absl::StrCat("apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: ",
                     c.spec, "\n"));
    ExpectRefused(r, {c.path});
  }
  ExpectRefused(node().Ctl({"run", "Bad_Name", "--image", kBusybox}),
                {"metadata.name"});
}

TEST_F(ErrorsTest, UnknownImages) {
  ExpectRefused(Run({"--image", "no-such-image"}), {"no-such-image"});
  ExpectRefused(Run({"--image", kBusybox, "--root-image", "no-such-root"}),
                {"no-such-root"});
}

TEST_F(ErrorsTest, ARootImageWithoutSystemd) {
  ExpectRefused(Run({"--root-image", kBusybox}), {"systemd"});
}

TEST_F(ErrorsTest, AnAppWhoseBinaryDoesNotExist) {
  ExpectRefused(Run({"--image", kBusybox, "--command", "--", "/no/such/bin"}),
                {"/no/such/bin"});
  ExpectRefused(Run({"--image", kBusybox, "--command", "--", "nowhere"}),
                {"nowhere", "PATH"});
  ExpectRefused(Run({"--image", kBusybox, "--command", "--", "/etc/passwd"}),
                {"/etc/passwd"});
}

TEST_F(ErrorsTest, UnknownNetworksAndMissingPlugins) {
  ExpectRefused(Run({"--image", kBusybox, "--network", "nonet"}), {"nonet"});
  WriteNetworkOf("missing", "no-such-plugin");
  ExpectRefused(Run({"--image", kBusybox, "--network", "missing"}),
                {"no-such-plugin"});
}

TEST_F(ErrorsTest, AFailingPluginIsQuotedInFull) {
  WritePlugin(
      "refuser",
      "[ $CNI_COMMAND = ADD ] || exit 0\n"
      "echo trouble on stderr >&2\n"
      "echo '{\"cniVersion\":\"1.0.0\",\"code\":107,\"msg\":\"the moon is "
      "wrong\",\"details\":\"it is full\"}'\nexit 1\n");
  WriteNetworkOf("refused", "refuser");
  ExpectRefused(Run({"--image", kBusybox, "--network", "refused"}),
                {"refuser", "the moon is wrong", "it is full",
                 "trouble on stderr", "refused"});
}

// The first network is attached already when the second one fails.
TEST_F(ErrorsTest, AFailureOfTheSecondNetworkTakesTheFirstBack) {
  WritePlugin("refuser",
              "[ $CNI_COMMAND = ADD ] || exit 0\necho '{}'\nexit 1\n");
  WriteNetworkOf("refused", "refuser");
  ExpectRefused(Run({"--image", kBusybox, "--network", "default,refused"}),
                {"refuser"});
}

TEST_F(ErrorsTest, AHangingPluginIsKilled) {
  WritePlugin("hanger", "[ $CNI_COMMAND = ADD ] || exit 0\nsleep 600\n");
  WriteNetworkOf("hung", "hanger");
  absl::Time start = absl::Now();
  ExpectRefused(Run({"--image", kBusybox, "--network", "hung"}), {"hanger"});
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
}

TEST_F(ErrorsTest, GarbageFromAPlugin) {
  WritePlugin("liar",
              "[ $CNI_COMMAND = ADD ] || exit 0\necho 'not json at all'\n");
  WriteNetworkOf("lied", "liar");
  ExpectRefused(Run({"--image", kBusybox, "--network", "lied"}),
                {"liar", "not json at all"});
}

TEST_F(ErrorsTest, ABrokenNetworkFileStopsNoOther) {
  node().WriteNetwork("broken", "{ this is not json");
  EXPECT_THAT(node().MustCtl({"info"}), HasSubstr("broken.conflist"));
  node().MustCtl({"run", "fine", "--image", kBusybox, "--", "sleep", "1000"});
  RemoveFile(node().conf_dir() + "/broken.conflist").IgnoreError();
}

TEST_F(ErrorsTest, NamesAreUnique) {
  node().MustCtl({"run", "one", "--image", kBusybox, "--", "sleep", "1000"});
  ShellResult again = node().Ctl({"run", "one", "--image", kBusybox});
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, AllOf(HasSubstr("AlreadyExists"), HasSubstr("one")));
}

TEST_F(ErrorsTest, WhatIsNotThereIsNamed) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"get", "pod", "ghost"},
        {"describe", "pod", "ghost"},
        {"logs", "ghost"},
        {"exec", "ghost", "--", "true"},
        {"stop", "ghost"},
        {"delete", "ghost"},
        {"image", "rm", "ghost"}}) {
    ShellResult r = node().Ctl(args);
    EXPECT_EQ(r.code, 1) << args[0];
    EXPECT_THAT(r.err, AllOf(HasSubstr("NotFound"), HasSubstr("ghost")));
  }
}

TEST_F(ErrorsTest, AnImageInUseCannotBeRemoved) {
  node().MustCtl({"run", "user", "--image", kBusybox, "--", "sleep", "1000"});
  ShellResult r = node().Ctl({"image", "rm", kBusybox});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("user"));
}

TEST_F(ErrorsTest, BrokenImagesAreNamedAndLeaveNothing) {
  std::string file = node().path("broken.tar");
  ASSERT_TRUE(WriteFileAtomic(file, std::string(4096, 'x')).ok());
  ShellResult r = node().Ctl({"image", "import", file});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("broken.tar"));
  r = Sh(absl::StrCat("ls -A ", node().root(), "/images/tmp"));
  EXPECT_EQ(r.out, "") << r.err;
}

// A step of a start that cannot be done, for each step in turn.
class StepFailureTest : public ErrorsTest {
 protected:
  void Rename(const std::string& from, const std::string& to) {
    ASSERT_EQ(rename(from.c_str(), to.c_str()), 0) << from;
  }
};

// The overlay's own failures are in run_pod's tests: here its layers are gone.
TEST_F(StepFailureTest, TheImagesLayers) {
  std::string layers = node().root() + "/images/layers";
  Rename(layers, layers + ".away");
  ShellResult r = Run({"--image", kBusybox, "--", "sleep", "1"});
  Rename(layers + ".away", layers);
  ExpectRefused(r, {"layer sha256:", "is missing"});
}

TEST_F(StepFailureTest, TheNetns) {
  Rename(node().netns_dir(), node().netns_dir() + ".away");
  ASSERT_TRUE(WriteFileAtomic(node().netns_dir(), "a file in its way").ok());
  ShellResult r = Run({"--image", kBusybox, "--", "sleep", "1"});
  ASSERT_TRUE(RemoveFile(node().netns_dir()).ok());
  Rename(node().netns_dir() + ".away", node().netns_dir());
  ExpectRefused(r, {node().netns_dir()});
}

TEST_F(StepFailureTest, TheShim) {
  std::string shim = node().path("libexec/davit-shim");
  Rename(shim, shim + ".away");
  ShellResult r = Run({"--image", kBusybox, "--", "sleep", "1"});
  Rename(shim + ".away", shim);
  ExpectRefused(r, {"davit-shim"});
}

TEST_F(StepFailureTest, ASystemdThatEndsBeforeItIsReady) {
  ShellResult made = Sh(
      absl::StrCat("set -e; d=", node().path("liar-root"),
                   "; mkdir -p $d/sbin $d/bin $d/etc; cp /bin/busybox $d/bin/; "
                   "printf '#!/bin/busybox sh\\necho no systemd here "
                   ">/dev/console\\nexit 3\\n'"
                   " >$d/sbin/init; chmod +x $d/sbin/init"));
  ASSERT_EQ(made.code, 0) << made.err;
  node().MustCtl({"image", "import", node().path("liar-root"), "--name",
                  "localhost/liar"});
  ExpectRefused(Run({"--root-image", "localhost/liar"}), {"no systemd here"});
  node().MustCtl({"image", "rm", "localhost/liar"});
}

TEST_F(StepFailureTest, ASystemdThatIsNeverReady) {
  ShellResult made = Sh(absl::StrCat(
      "set -e; d=", node().path("slow-root"),
      "; mkdir -p $d/sbin $d/bin $d/etc; cp /bin/busybox $d/bin/; "
      "printf '#!/bin/busybox sh\\nexec /bin/busybox sleep 1000\\n'"
      " >$d/sbin/init; chmod +x $d/sbin/init"));
  ASSERT_EQ(made.code, 0) << made.err;
  node().MustCtl({"image", "import", node().path("slow-root"), "--name",
                  "localhost/slow"});
  ExpectRefused(Run({"--root-image", "localhost/slow"}), {"ready"});
  node().MustCtl({"image", "rm", "localhost/slow"});
}

}  // namespace
}  // namespace davit::testing
