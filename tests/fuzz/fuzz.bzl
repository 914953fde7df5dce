"""One fuzzer: its libFuzzer program, its timed run, and its corpus as a test."""

load("//deploy/bazel:defs.bzl", "davit_cc_binary", "davit_cc_test")

_FILE = "//runtime/base:file"

def davit_fuzzer(name, deps):
    """Defines the fuzzer of NAME.cc (LLVMFuzzerTestOneInput).

    NAME is the program and NAME_run the test that runs it for $FUZZ_SECONDS;
    both want --config=fuzz, so wildcards leave them out. NAME_corpus_test gives
    the files of corpus/NAME to it, in any build.

    Args:
      name: of the file, without ".cc".
      deps: what it calls.
    """
    corpus = native.glob(["corpus/" + name + "/*"])
    davit_cc_test(
        name = name + "_corpus_test",
        size = "small",
        srcs = [
            name + ".cc",
            "fuzz.h",
            "replay_corpus_test.cc",
        ],
        data = corpus,
        env = {"FUZZ_CORPUS": native.package_name() + "/corpus/" + name},
        deps = [d for d in deps if d != _FILE] + [_FILE],
    )
    davit_cc_binary(
        name = name,
        testonly = True,
        srcs = [
            name + ".cc",
            "fuzz.h",
        ],
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = deps,
    )
    native.sh_test(
        name = name + "_run",
        timeout = "long",
        srcs = ["run-fuzzer"],
        args = [
            "$(rootpath :%s)" % name,
            native.package_name() + "/corpus/" + name,
        ],
        data = corpus + [":" + name],
        tags = [
            "fuzz",
            "manual",
        ],
    )
