"""@sys: the libraries of the distribution, one target each, by pkg-config.

`@sys//:NAME` links the shared library where there is one; `@sys//:NAME_static`
carries the flags for a fully static binary (`linkopts = ["-static"]`).
"""

# target -> pkg-config packages
_LIBS = {
    "absl": [
        "absl_base",
        "absl_cleanup",
        "absl_flat_hash_map",
        "absl_flat_hash_set",
        "absl_span",
        "absl_status",
        "absl_statusor",
        "absl_str_format",
        "absl_strings",
        "absl_synchronization",
        "absl_time",
    ],
    "benchmark": ["benchmark"],
    "cli11": ["CLI11"],
    "gmock": ["gmock"],
    "grpc": ["grpc++", "protobuf"],
    "gtest": ["gtest"],
    "json": ["nlohmann_json"],
    "libarchive": ["libarchive"],
    "libbpf": ["libbpf"],
    "libcap": ["libcap"],
    "libcrypto": ["libcrypto"],
    "libmnl": ["libmnl"],
    "libmount": ["mount"],
    "libnftnl": ["libnftnl", "libmnl"],
    "libnl": ["libnl-3.0", "libnl-route-3.0"],
    "libseccomp": ["libseccomp"],
    "libsystemd": ["libsystemd"],
    "prometheus": ["prometheus-cpp-core", "prometheus-cpp-pull"],
    "protobuf": ["protobuf"],
    "protobuf_lite": ["protobuf-lite"],
    "spdlog": ["spdlog"],
    "yaml_cpp": ["yaml-cpp"],
    "zlib": ["zlib"],
}

# pkg-config has no file for these (Debian builds them with cmake or autotools
# that write none): plain link options.
_EXTRA_LINKOPTS = {
    "grpc_reflection": ["-lgrpc++_reflection"],
}

def _flags(ctx, args, what):
    result = ctx.execute(["pkg-config"] + args)
    if result.return_code != 0:
        return None, "pkg-config {}: {}".format(" ".join(args), result.stderr)
    return [f for f in result.stdout.strip().split(" ") if f], None

def _library(ctx, name, packages, static):
    cflags, error = _flags(ctx, ["--cflags"] + packages, name)
    if error:
        return None, error
    libs, error = _flags(ctx, (["--static"] if static else []) + ["--libs"] + packages, name)
    if error:
        return None, error

    # -I of a system directory is already searched; others become system
    # includes, so that their headers do not meet our warning flags.
    copts = []
    for flag in cflags:
        if flag.startswith("-I"):
            copts += ["-isystem", flag[2:]]
        elif flag.startswith("-D"):
            copts.append(flag)
    if static:
        libs = ["-Wl,--start-group"] + [l for l in libs if l.startswith("-l") or l == "-pthread"] + ["-Wl,--end-group"]
    return """
cc_library(
    name = "{name}",
    defines = {defines},
    includes = [],
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
    hdrs = [],
)
""".format(
        name = name + ("_static" if static else ""),
        defines = repr([c[2:] for c in copts if c.startswith("-D")]),
        linkopts = repr(libs),
    ), None

def _impl(ctx):
    out = ["# Written by deploy/bazel/system_libs.bzl."]
    errors = []
    for name, packages in _LIBS.items():
        for static in (False, True):
            text, error = _library(ctx, name, packages, static)
            if error and not static:
                errors.append(error)
            elif not error:
                out.append(text)
    if errors:
        fail("Davit needs Debian packages that are not installed; run deploy/up or deploy/test once.\n" + "\n".join(errors))
    for name, linkopts in _EXTRA_LINKOPTS.items():
        out.append('cc_library(name = "{}", linkopts = {}, visibility = ["//visibility:public"])'.format(name, repr(linkopts)))
    ctx.file("BUILD.bazel", "\n".join(out) + "\n")

system_libs = repository_rule(
    implementation = _impl,
    local = True,
    doc = "Generates one cc_library for each library that pkg-config knows.",
)
