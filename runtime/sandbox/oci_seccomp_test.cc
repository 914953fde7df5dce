#include "runtime/sandbox/oci_seccomp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <seccomp.h>

#include "absl/strings/str_cat.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::absl::StatusCode;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(ParseOciSeccompTest, ReadsWhatTheSpecificationHas) {
  ASSERT_OK_AND_ASSIGN(OciSeccomp profile, ParseOciSeccomp(R"({
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_RISCV64"],
    "flags": [], "syscalls": [
      {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "comment": "x"},
      {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4095,
       "args": [{"index": 5, "value": 18446744073709551615, "valueTwo": 8,
                 "op": "SCMP_CMP_MASKED_EQ"}]},
      {"names": ["ptrace"], "action": "SCMP_ACT_ERRNO", "args": null}]})"));
  EXPECT_EQ(profile.default_action, SCMP_ACT_ERRNO(38));
  EXPECT_THAT(profile.architectures,
              ElementsAre(SCMP_ARCH_X86_64, SCMP_ARCH_RISCV64));
  ASSERT_THAT(profile.rules, SizeIs(3));
  EXPECT_THAT(profile.rules[0].names, ElementsAre("read", "write"));
  EXPECT_EQ(profile.rules[0].action, SCMP_ACT_ALLOW);
  EXPECT_EQ(profile.rules[1].action, SCMP_ACT_ERRNO(4095));
  ASSERT_THAT(profile.rules[1].arguments, SizeIs(1));
  EXPECT_EQ(profile.rules[1].arguments[0].index, 5u);
  EXPECT_EQ(profile.rules[1].arguments[0].value, UINT64_MAX);
  EXPECT_EQ(profile.rules[1].arguments[0].value_two, 8u);
  EXPECT_EQ(profile.rules[1].arguments[0].compare, SCMP_CMP_MASKED_EQ);
  EXPECT_EQ(profile.rules[2].action, SCMP_ACT_ERRNO(1));  // EPERM
  EXPECT_THAT(profile.rules[2].arguments, IsEmpty());
}

TEST(ParseOciSeccompTest, FaultsNameTheField) {
  auto rule = [](const std::string& text) {
    return absl::StrCat(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [)",
                        R"({"names": ["a"], "action": "SCMP_ACT_LOG"}, )", text,
                        "]}");
  };
  auto argument = [&](const std::string& text) {
    return rule(R"({"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [)" +
                text + "]}");
  };
  std::pair<std::string, std::string> cases[] = {
      {"", "seccomp profile: is no JSON"},
      {"{", "seccomp profile: is no JSON"},
      {"[]", "seccomp profile: want an object"},
      {"{}", "defaultAction: is required"},
      {R"({"defaultAction": 1})", "defaultAction: want a string"},
      {R"({"defaultAction": "ALLOW"})",
       "defaultAction: \"ALLOW\" is not known"},
      {R"({"defaultAction": "SCMP_ACT_NOTIFY"})",
       "defaultAction: \"SCMP_ACT_NOTIFY\" is not supported"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1})",
       "defaultErrnoRet: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have one"},
      {R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096})",
       "defaultErrnoRet: 4096 is not 0 to 4095"},
      {R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": -1})",
       "defaultErrnoRet: want an unsigned number"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["PDP11"]})",
       "architectures[0]: \"PDP11\" is not known"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [7]})",
       "architectures[0]: want a string"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["x"]})",
       "flags: is not supported"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "archMap": []})",
       "archMap: is no field of the OCI runtime specification"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}})",
       "syscalls: want a list"},
      {rule("7"), "syscalls[1]: want an object"},
      {rule(R"({"action": "SCMP_ACT_ALLOW"})"),
       "syscalls[1].names: want at least one name"},
      {rule(R"({"names": [], "action": "SCMP_ACT_ALLOW"})"),
       "syscalls[1].names: want at least one name"},
      {rule(R"({"names": ["a", 7], "action": "SCMP_ACT_ALLOW"})"),
       "syscalls[1].names[1]: want a string"},
      {rule(R"({"names": ["a"]})"), "syscalls[1].action: is required"},
      {rule(R"({"names": ["a"], "action": "SCMP_ACT_ALLOW",
                "includes": {"caps": ["CAP_SYS_ADMIN"]}})"),
       "syscalls[1].includes: is no field of the OCI runtime specification"},
      {argument("[]"), "syscalls[1].args[0]: want an object"},
      {argument(R"({"value": 1, "op": "SCMP_CMP_EQ"})"),
       "syscalls[1].args[0].index: is required"},
      {argument(R"({"index": 6, "value": 1, "op": "SCMP_CMP_EQ"})"),
       "syscalls[1].args[0].index: 6 is not 0 to 5"},
      {argument(R"({"index": 1, "op": "SCMP_CMP_EQ"})"),
       "syscalls[1].args[0].value: is required"},
      {argument(R"({"index": 1, "value": 18446744073709551616,
                    "op": "SCMP_CMP_EQ"})"),
       "syscalls[1].args[0].value: want an unsigned number"},
      {argument(R"({"index": 1, "value": 1, "op": "=="})"),
       "syscalls[1].args[0].op: \"==\" is not known"},
  };
  for (const auto& [json, message] : cases) {
    EXPECT_THAT(ParseOciSeccomp(json),
                StatusIs(StatusCode::kInvalidArgument, message))
        << json;
  }
}

TEST(ParseOciSeccompTest, HostileNestingIsOnlyAFault) {
  std::string deep = R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": )" +
                     std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_THAT(ParseOciSeccomp(deep), StatusIs(StatusCode::kInvalidArgument,
                                              "syscalls[0]: want an object"));
}

TEST(CompileOciSeccompTest, WhatSaysNothingOrIsUnknownIsLeftOut) {
  OciSeccomp profile;
  profile.default_action = SCMP_ACT_ALLOW;
  ASSERT_OK_AND_ASSIGN(std::string empty, CompileOciSeccomp(profile));
  profile.rules.push_back({{"read"}, SCMP_ACT_ALLOW, {}});
  profile.rules.push_back({{"call_of_2050"}, SCMP_ACT_ERRNO(1), {}});
  EXPECT_EQ(CompileOciSeccomp(profile).value(), empty);
}

TEST(CompileOciSeccompTest, MoreThanTheKernelTakesIsRefused) {
  OciSeccomp profile;
  profile.default_action = SCMP_ACT_ALLOW;
  for (uint64_t i = 0; i < 6000; ++i) {
    profile.rules.push_back(
        {{"kill"}, SCMP_ACT_ERRNO(1), {{1, i * 7, 0, SCMP_CMP_EQ}}});
  }
  EXPECT_THAT(CompileOciSeccomp(profile),
              StatusIs(StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("the kernel takes 4096")));
}

}  // namespace
}  // namespace davit
