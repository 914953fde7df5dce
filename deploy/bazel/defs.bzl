"""Davit's build macros: our warnings as errors, private by default, protos."""

# (grpc, lite) -> what generated code links with.
_PROTO_RUNTIME = {
    (False, False): "@sys//:protobuf",
    (False, True): "@sys//:protobuf_lite",
    (True, False): "@sys//:grpc",
}

_COPTS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-missing-field-initializers",
]

# Static linking inside the tree: a shared library of each cc_library would want
# every file compiled a second time, as position-independent code.
def davit_cc_library(name, copts = [], **kwargs):
    native.cc_library(
        name = name,
        copts = _COPTS + copts,
        linkstatic = True,
        **kwargs
    )

def davit_cc_binary(name, copts = [], static = False, linkopts = [], **kwargs):
    native.cc_binary(
        name = name,
        copts = _COPTS + copts,
        # A fully static binary starts in under a millisecond and needs nothing
        # of the root file system it is bound into. Section GC keeps it small.
        linkopts = (["-static", "-Wl,--gc-sections"] if static else []) + linkopts,
        **kwargs
    )

# What says of a test that it is not one of a unit's logic alone.
_STAGE_TAGS = ["kernel", "e2e", "vm", "in_vm", "fuzz"]

# A test without a tag of another stage gets "unit", so that deploy/test can
# build each stage's tests only as they will run.
def davit_cc_test(name, copts = [], deps = [], tags = [], **kwargs):
    stages = [tag for tag in tags if tag in _STAGE_TAGS]
    native.cc_test(
        name = name,
        copts = _COPTS + copts,
        linkstatic = True,
        tags = tags + ([] if stages else ["unit"]),
        deps = deps + ["@sys//:gmock", "@sys//:gtest", "//tests/support:gtest_main"],
        **kwargs
    )

def davit_cc_proto_library(
        name,
        src,
        deps = [],
        proto_deps = [],
        grpc = False,
        lite = False,
        proto_root = "",
        visibility = None):
    """A C++ library of one .proto file, by the distribution's protoc.

    Args:
      name: the cc_library.
      src: the .proto file.
      deps: cc libraries of the protos that it imports.
      proto_deps: the .proto files that it imports.
      grpc: also generate the service's stubs.
      lite: link only protobuf-lite (the file must say LITE_RUNTIME).
      proto_root: the folder (from the workspace's root) that import paths, and
        so the paths of the generated headers, start at; default: the root.
      visibility: as everywhere.
    """
    base = src[:-len(".proto")]
    outs = [base + ".pb.h", base + ".pb.cc"]
    out_dir = "$(BINDIR)/" + proto_root if proto_root else "$(BINDIR)"
    flags = ["-I" + (proto_root or "."), "--cpp_out=" + out_dir]
    if grpc:
        outs += [base + ".grpc.pb.h", base + ".grpc.pb.cc"]
        flags += [
            "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin",
            "--grpc_out=" + out_dir,
        ]
    native.genrule(
        name = name + "_gen",
        srcs = [src] + proto_deps,
        outs = outs,
        cmd = "protoc " + " ".join(flags) + " $(location " + src + ")",
        message = "Generating C++ for",
    )
    native.cc_library(
        name = name,
        srcs = [o for o in outs if o.endswith(".cc")],
        hdrs = [o for o in outs if o.endswith(".h")],
        copts = ["-w"],
        linkstatic = True,
        strip_include_prefix = ("/" + proto_root) if proto_root else None,
        deps = deps + [_PROTO_RUNTIME[(grpc, lite)]],
        visibility = visibility,
    )
