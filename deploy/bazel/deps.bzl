"""Everything that Davit's build takes from outside the tree: Debian packages."""

load("//deploy/bazel:system_libs.bzl", "system_libs")

def davit_dependencies():
    """Names every external repository; nothing is downloaded."""
    system_libs(name = "sys")

    # Debian's rules_cc asks for a symbol that Bazel 4.2.3 lacks; Bazel's JDK
    # toolchains want rules_java and its cc_test wants coverage tools. None of
    # them does real work here, so three small local repositories stand in.
    native.local_repository(
        name = "rules_cc",
        path = "deploy/bazel/rules_cc",
    )
    native.local_repository(
        name = "rules_java",
        path = "/usr/share/bazel/rules/java",
    )
    native.local_repository(
        name = "remote_coverage_tools",
        path = "deploy/bazel/coverage_tools",
    )
