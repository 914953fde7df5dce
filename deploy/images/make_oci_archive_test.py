#!/usr/bin/python3 -I
"""Tests of make-oci-archive: reads its archives back as image-spec says."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
import unittest

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       "make-oci-archive")
NAME = "localhost/davit/x:1"


class MakeOciArchive(unittest.TestCase):

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name
        self.write("config.json", json.dumps({"Cmd": ["/bin/sh"]}))
        self.write("base/bin/sh", "#!", mode=0o755)
        os.symlink("sh", self.path("base/bin/ash"))
        self.write("site/www/index.html", "hello")

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def run_program(self, output, *layers):
        return subprocess.run(
            [PROGRAM, "--name", NAME, "--config", self.path("config.json"),
             "--output", self.path(output), *map(self.path, layers)],
            check=False, capture_output=True, text=True)

    def make(self, output, *layers):
        """The files of the archive by name."""
        done = self.run_program(output, *layers)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with tarfile.open(self.path(output)) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}

    def blob(self, files, descriptor):
        data = files["blobs/" + descriptor["digest"].replace(":", "/")]
        self.assertEqual(len(data), descriptor["size"])
        self.assertEqual("sha256:" + hashlib.sha256(data).hexdigest(),
                         descriptor["digest"])
        return data

    def image(self, files):
        """(manifest, configuration, uncompressed layers), all verified."""
        index = json.loads(files["index.json"])
        self.assertEqual(json.loads(files["oci-layout"]),
                         {"imageLayoutVersion": "1.0.0"})
        descriptor, = index["manifests"]
        self.assertEqual(descriptor["annotations"],
                         {"org.opencontainers.image.ref.name": NAME})
        manifest = json.loads(self.blob(files, descriptor))
        config = json.loads(self.blob(files, manifest["config"]))
        layers = [gzip.decompress(self.blob(files, d))
                  for d in manifest["layers"]]
        return manifest, config, layers

    def test_an_archive_is_a_consistent_image(self):
        _, config, layers = self.image(self.make("x.tar", "base", "site"))
        self.assertEqual(config["config"], {"Cmd": ["/bin/sh"]})
        self.assertEqual((config["os"], config["architecture"]),
                         ("linux", "amd64"))
        self.assertEqual(config["rootfs"]["diff_ids"],
                         ["sha256:" + hashlib.sha256(l).hexdigest()
                          for l in layers])

    def test_layers_keep_modes_and_links_and_lose_owners_and_times(self):
        layer = self.image(self.make("x.tar", "base"))[2][0]
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            members = {m.name: m for m in tar.getmembers()}
        self.assertEqual(list(members), ["bin", "bin/ash", "bin/sh"])
        self.assertEqual(members["bin/sh"].mode, 0o755)
        self.assertEqual(members["bin/ash"].linkname, "sh")
        for member in members.values():
            self.assertEqual((member.uid, member.gid, member.mtime), (0, 0, 0))

    def test_the_same_input_gives_the_same_bytes(self):
        first = self.make("x.tar", "base", "site")
        os.utime(self.path("base/bin/sh"), (1, 1))
        self.assertEqual(first, self.make("y.tar", "base", "site"))

    def test_images_share_equal_layers(self):
        both, _, _ = self.image(self.make("x.tar", "base", "site"))
        base, _, _ = self.image(self.make("y.tar", "base"))
        self.assertEqual(both["layers"][0], base["layers"][0])
        self.assertNotEqual(both["layers"][1], base["layers"][0])

    def test_a_missing_config_writes_nothing(self):
        os.remove(self.path("config.json"))
        self.assertNotEqual(self.run_program("x.tar", "base").returncode, 0)
        self.assertFalse(os.path.exists(self.path("x.tar")))


if __name__ == "__main__":
    unittest.main()
