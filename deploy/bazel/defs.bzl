"""Davit's build macros: our warnings as errors, private by default, protos."""

_COPTS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-missing-field-initializers",
]

def davit_cc_library(name, copts = [], **kwargs):
    native.cc_library(name = name, copts = _COPTS + copts, **kwargs)

def davit_cc_binary(name, copts = [], static = False, linkopts = [], **kwargs):
    native.cc_binary(
        name = name,
        copts = _COPTS + copts,
        # A fully static binary starts in under a millisecond and needs nothing
        # of the root file system it is bound into. Section GC keeps it small.
        linkopts = (["-static", "-Wl,--gc-sections"] if static else []) + linkopts,
        **kwargs
    )

def davit_cc_test(name, copts = [], deps = [], **kwargs):
    native.cc_test(
        name = name,
        copts = _COPTS + copts,
        deps = deps + ["@sys//:gmock", "@sys//:gtest", "//tests/support:gtest_main"],
        **kwargs
    )

def _generate(name, src, outs, flags, tools, srcs):
    native.genrule(
        name = name,
        srcs = [src] + srcs,
        outs = outs,
        cmd = "protoc -I. " + flags + " $(location " + src + ")",
        tools = tools,
        message = "Generating C++ for",
    )

def davit_cc_proto_library(name, src, deps = [], proto_deps = [], grpc = False, lite = False, visibility = None):
    """A C++ library of one .proto file, by the distribution's protoc.

    Args:
      name: the cc_library.
      src: the .proto file; its package directory must be its path from the root.
      deps: cc libraries of the protos that it imports.
      proto_deps: the .proto files that it imports.
      grpc: also generate the service's stubs.
      lite: link only protobuf-lite (the file must say LITE_RUNTIME).
      visibility: as everywhere.
    """
    base = src[:-len(".proto")]
    outs = [base + ".pb.h", base + ".pb.cc"]
    flags = "--cpp_out=$(BINDIR)"
    if grpc:
        outs += [base + ".grpc.pb.h", base + ".grpc.pb.cc"]
        flags += " --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin --grpc_out=$(BINDIR)"
    _generate(name + "_gen", src, outs, flags, [], proto_deps)
    native.cc_library(
        name = name,
        srcs = [o for o in outs if o.endswith(".cc")],
        hdrs = [o for o in outs if o.endswith(".h")],
        copts = ["-w"],
        deps = deps + (["@sys//:grpc"] if grpc else (["@sys//:protobuf_lite"] if lite else ["@sys//:protobuf"])),
        visibility = visibility,
    )
