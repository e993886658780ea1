"""Ceph's object gateway, a real S3 server: one monitor, one memory-backed OSD, one gateway."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers.ceph_packages import HOW_TO, ceph_root
from tests.servers.endpoint import S3Endpoint
from tests.servers.processes import ServerError, free_port, kill, start, tail, wait_for_http

ACCESS_KEY, SECRET_KEY = "refoldtest", "refoldtestsecret"
JOB_USER, JOB_ACCESS_KEY, JOB_SECRET_KEY = "job", "refoldjob", "refoldjobsecret"
"""Who may do nothing at all unless a bucket's policy says so."""

KMS_KEY = "refold-test-key"
"""That its key management has: a list in its configuration, where a real one has Vault."""

RIGHTS = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *", "mgr": "allow profile osd"},
    "client.rgw": {"mon": "allow rw", "osd": "allow rwx"},
}
"""Known from the first moment on: the monitor takes them over with the first maps."""

CONFIGURATION = """
[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{mon_port}/0
public_addr = 127.0.0.1
ms_bind_msgr1 = false
auth_allow_insecure_global_id_reclaim = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_crit = 0
mon_cluster_log_to_file = false
paxos_propose_interval = 0.1
run_dir = {state}
admin_socket =
log_file = {state}/$name.log
keyring = {state}/keyring
erasure_code_dir = {library}/ceph/erasure-code
osd_class_dir = {library}/rados-classes
plugin_dir = {library}/ceph
osd_objectstore = memstore
memstore_device_bytes = 4294967296
[mon]
mon_data = {state}/mon
mon_initial_members = a
[osd]
osd_data = {state}/osd
osd_op_num_shards = 1
[client.rgw]
rgw_data = {state}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{s3_port}
rgw_thread_pool_size = 32
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = {kms_key}=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
"""


@contextmanager
def radosgw_server() -> Iterator[S3Endpoint]:
    """Run one for as long as the context lasts.

    Raises:
        ServerError: It cannot be had or does not start; the message says what to do.
    """
    gateway = _Gateway(ceph_root(), Path(tempfile.mkdtemp(prefix="radosgw-")))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, gateway.state, ignore_errors=True)
        gateway.make_cluster()
        for name in ("mon", "osd", "rgw"):
            stack.callback(kill, gateway.start(name))
        gateway.add_user("test", ACCESS_KEY, SECRET_KEY)
        gateway.add_user(JOB_USER, JOB_ACCESS_KEY, JOB_SECRET_KEY)
        yield S3Endpoint("radosgw", gateway.url, ACCESS_KEY, SECRET_KEY)


class _Gateway:
    """The folder, the configuration and the commands of one small cluster."""

    def __init__(self, root: Path, state: Path) -> None:
        self.state = state
        self._programs = root / "usr" / "bin"
        self._libraries = _library_folders(root)
        self._mon_port, s3_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{s3_port}"
        self._fsid = str(uuid.uuid4())
        text = CONFIGURATION.format(
            fsid=self._fsid,
            mon_port=self._mon_port,
            s3_port=s3_port,
            state=state,
            library=self._libraries[0],
            kms_key=KMS_KEY,
        )
        (state / "ceph.conf").write_text(text)
        for folder in ("mon", "osd", "rgw"):
            (state / folder).mkdir()

    def make_cluster(self) -> None:
        """Write the first maps: one monitor, and one OSD that need not be registered."""
        keyring, monmap, osdmap = (str(self.state / n) for n in ("keyring", "monmap", "osdmap"))
        Path(keyring).touch()
        for name, rights in RIGHTS.items():
            caps = [word for part, right in rights.items() for word in ("--cap", part, right)]
            self._run("ceph-authtool", keyring, "--gen-key", "-n", name, *caps)
        address = f"[v2:127.0.0.1:{self._mon_port}]"
        self._run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", address, monmap)
        self._run("osdmaptool", "--createsimple", "1", "--clobber", osdmap)
        maps = ("--monmap", monmap, "--osdmap", osdmap, "--keyring", keyring)
        self._run("ceph-mon", "--mkfs", "-i", "a", *maps)

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start one daemon; the gateway is waited for, the others wait for each other."""
        log = self.state / f"{name}.out"
        if name == "osd":
            self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", str(uuid.uuid4()))
        command = {
            "mon": ["ceph-mon", "-f", "-i", "a"],
            "osd": ["ceph-osd", "-f", "-i", "0"],
            "rgw": ["radosgw", "-f", "-n", "client.rgw"],
        }[name]
        process = start([str(self._programs / command[0]), *command[1:]], log, self._environment)
        if name == "rgw":
            try:
                wait_for_http(self.url, process, log, 120)
            except ServerError as error:
                kill(process)
                logs = "\n".join(tail(self.state / f"{n}.out", 5) for n in ("mon", "osd"))
                raise ServerError(f"{error}\n{logs}\n{HOW_TO}") from error
        return process

    def add_user(self, name: str, access_key: str, secret_key: str) -> None:
        """Make a user whose keys the tests know."""
        keys = (f"--access-key={access_key}", f"--secret-key={secret_key}")
        who = (f"--uid={name}", f"--display-name={name}")
        self._run("radosgw-admin", "user", "create", *who, *keys)

    @property
    def _environment(self) -> dict[str, str]:
        paths = os.pathsep.join(str(folder) for folder in self._libraries)
        return {**os.environ, "CEPH_CONF": f"{self.state}/ceph.conf", "LD_LIBRARY_PATH": paths}

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        try:
            done = subprocess.run(
                command, env=self._environment, capture_output=True, text=True, timeout=120
            )
        except subprocess.TimeoutExpired as error:
            raise ServerError(f"{program} did not finish within {error.timeout:.0f} s") from error
        if done.returncode:
            raise ServerError(f"{program} failed: {(done.stderr or done.stdout)[-600:]}\n{HOW_TO}")


def _library_folders(root: Path) -> list[Path]:
    found = sorted((root / "usr" / "lib").glob("*-linux-gnu*/ceph"))
    if not found:
        raise ServerError(f"no Ceph libraries below {root}/usr/lib. {HOW_TO}")
    library = found[0].parent
    return [library, library / "ceph", root / "lib" / library.name]
