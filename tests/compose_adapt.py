"""Makes of the model of any Compose project one that a Docker daemon of the tests can bring up.

What a service is made of stays as far as it can be had: images, programs, devices, plugins and hosts
that are not there are replaced or left out, and what would take an address, a port or a path of the
machine gets one of its own. The result is the file that both sides of a comparison read.
"""
import os
import pathlib
import re

IMAGE = "busybox:1.36"

# Of services: what a daemon of the tests has nothing for, or one of API 1.41 does not know.
LEFT_OUT = {
    "build", "cgroup_parent", "container_name", "cpu_count", "cpu_percent", "cpu_rt_period",
    "cpu_rt_runtime", "credential_spec", "develop", "devices", "external_links", "gpus", "isolation",
    "label_file", "models", "platform", "privileged", "profiles", "provider", "pull_policy",
    "pull_refresh_after",
    "storage_opt", "use_api_socket", "userns_mode", "volume_driver", "runtime", "pre_start",
}
LEFT_OUT_OF_ENDPOINTS = {"gw_priority", "interface_name"}
MEMORY = ("mem_limit", "mem_reservation", "memswap_limit")
MEMORY_MIN = 16 << 20

# Capabilities that a machine of the tests can give away, so far as the projects name any.
CAPABILITIES = {"ALL", "CHOWN", "KILL", "NET_ADMIN", "NET_RAW"}


class Ports:
    """Published ports of this process, each given once."""

    def __init__(self):
        self.next = 20000 + 600 * int(os.environ.get("RUNNER_TEST_SLOT", "0"))

    def take(self, published):
        first, _, last = str(published).partition("-")
        width = int(last or first) - int(first)
        begin, self.next = self.next, self.next + width + 1
        return f"{begin}-{begin + width}" if width else str(begin)


def directory_for(path, scratch):
    """A directory of the test's own in the place of one of the machine."""
    own = scratch / "binds" / re.sub(r"\W", "_", path)
    own.mkdir(parents=True, exist_ok=True)
    return str(own)


def adapt_mount(mount, scratch):
    mount.pop("consistency", None)
    if mount["type"] == "bind":
        if not (mount["source"].startswith(str(scratch)) and os.path.exists(mount["source"])):
            mount["source"] = directory_for(mount["source"], scratch)
        for name in ("propagation", "recursive", "selinux"):
            mount.get("bind", {}).pop(name, None)
    if mount["type"] == "volume":
        mount.get("volume", {}).pop("subpath", None)
        if not mount.get("volume", True):
            del mount["volume"]
    return mount


def adapt_health(service, name, awaited):
    check = service.get("healthcheck")
    if name in awaited:
        service["healthcheck"] = {"test": ["CMD", "true"], "interval": "1s"}
    elif check and check.get("test", ["NONE"])[0] != "NONE":
        check["test"] = [check["test"][0], "true"]


def adapt_program(service):
    """It runs until it is told to end, with the words that it had."""
    words = service.get("entrypoint") or []
    service["entrypoint"] = ["sh", "-c", "exec sleep 1000", *words]
    service.setdefault("stop_signal", "SIGKILL")


def adapt_limits(service):
    for name in MEMORY:
        if int(service.get(name, -1)) >= 0:
            service[name] = str(max(int(service[name]), MEMORY_MIN))
    if "mem_limit" in service and int(service.get("memswap_limit", -1)) >= 0:
        service["memswap_limit"] = str(max(int(service["mem_limit"]), int(service["memswap_limit"])))
    if "cpuset" in service:
        service["cpuset"] = "0"
    if float(service.get("cpus") or 0) > 1:
        service["cpus"] = 1
    if "cpus" in service:
        for name in ("cpu_period", "cpu_quota"):
            service.pop(name, None)
    if int(service.get("oom_score_adj", 0)) < 0:
        service["oom_score_adj"] = 100
    for name, limit in service.get("ulimits", {}).items():
        if not limit:
            service["ulimits"][name] = 0
        elif name == "nofile":
            service["ulimits"][name] = {"soft": 1024, "hard": 2048}
        elif name == "memlock":
            service["ulimits"][name] = 65536
        elif name == "nproc":
            service["ulimits"][name] = limit if limit == 65535 else 4096
        elif name == "rtprio":
            service["ulimits"][name] = {"soft": 0, "hard": 0}
    blkio = service.get("blkio_config", {})
    for name in list(blkio):
        if name != "weight":
            del blkio[name]
    resources = service.get("deploy", {}).get("resources", {})
    for part in resources.values():
        for name in ("devices", "generic_resources"):
            part.pop(name, None)
        if int(part.get("memory", MEMORY_MIN)) < MEMORY_MIN:
            part["memory"] = str(MEMORY_MIN)
    if "limits" in resources and float(resources["limits"].get("cpus", 0)) > 1:
        resources["limits"]["cpus"] = 1


def adapt_rights(service):
    for name in ("cap_add", "cap_drop"):
        if name in service:
            service[name] = [c for c in service[name] if c.removeprefix("CAP_") in CAPABILITIES]
    if "security_opt" in service:
        service["security_opt"] = [
            o for o in service["security_opt"] if o.startswith("no-new-privileges")
        ]
    if "group_add" in service:
        service["group_add"] = [g for g in service["group_add"] if str(g).isdigit()]
    if not re.fullmatch(r"\d+(:\d+)?", service.get("user", "0")):
        del service["user"]
    if "sysctls" in service:
        service["sysctls"] = {
            k: v for k, v in service["sysctls"].items() if k == "net.ipv4.ip_forward"
        }


def adapt_networks(service, model):
    mode = service.get("network_mode", "")
    if mode.startswith("container:") or (mode and mode not in ("none", "host", "bridge")
                                         and not mode.startswith("service:")):
        service["network_mode"] = "none"
    for key, endpoint in (service.get("networks") or {}).items():
        for name in LEFT_OUT_OF_ENDPOINTS:
            (endpoint or {}).pop(name, None)
        if "ipam" not in model["networks"][key] or not model["networks"][key]["ipam"].get("config"):
            for name in ("ipv4_address", "ipv6_address"):
                (endpoint or {}).pop(name, None)


def adapt_namespaces(service):
    if service.get("uts") == "host":
        service.pop("hostname", None)
        service.pop("domainname", None)
    for name in ("ipc", "pid", "uts", "cgroup"):
        if str(service.get(name, "")).startswith("container:"):
            del service[name]
    if "volumes_from" in service:
        service["volumes_from"] = [
            v for v in service["volumes_from"] if not v.startswith("container:")
        ]


def adapt_service(name, model, scratch, awaited, ports):
    service = model["services"][name]
    for left_out in LEFT_OUT & service.keys():
        del service[left_out]
    service["image"] = IMAGE
    for dependency in service.get("depends_on", {}).values():
        if dependency["condition"] == "service_completed_successfully":
            dependency["condition"] = "service_started"
    service["depends_on"] = {
        other: d for other, d in service.get("depends_on", {}).items() if other in model["services"]
    }
    adapt_program(service)
    adapt_health(service, name, awaited)
    service["volumes"] = [
        adapt_mount(m, scratch)
        for m in service.get("volumes", [])
        if m["type"] in ("bind", "volume", "tmpfs")
    ]
    service["ports"] = [p for p in service.get("ports", []) if p.get("protocol") != "sctp"]
    many = service.get("scale", service.get("deploy", {}).get("replicas") or 1) > 1
    for port in service["ports"]:
        if port.get("published") and many:
            del port["published"]
        elif port.get("published"):
            port["published"] = ports.take(port["published"])
        if ":" in port.get("host_ip", ""):
            port["host_ip"] = "127.0.0.1"
    for kind in ("secrets", "configs"):
        service[kind] = [
            use for use in service.get(kind, []) if not model[kind][use["source"]].get("external")
        ]
    if service.get("logging", {}).get("driver", "json-file") not in ("json-file", "none"):
        service["logging"] = {"driver": "local"}
    elif "options" in service.get("logging", {}):
        service["logging"]["options"] = {"max-size": "1m"}
    for hooks in ("post_start", "pre_stop"):
        for hook in service.get(hooks, []):
            hook["command"] = ["true", *hook["command"]]
            for left_out in ("privileged", "user", "working_dir"):
                hook.pop(left_out, None)
    if "working_dir" in service:
        service["working_dir"] = "/tmp"
    adapt_limits(service)
    adapt_rights(service)
    adapt_networks(service, model)
    adapt_namespaces(service)


def adapt_network(key, network):
    for name in ("external", "name", "enable_ipv4"):
        network.pop(name, None)
    if network.get("driver") not in (None, "bridge"):
        del network["driver"]
    network.get("driver_opts", {}).pop("com.docker.network.bridge.name", None)
    ipam = network.get("ipam", {})
    ipam.pop("options", None)
    if ipam.get("driver", "default") != "default":
        ipam.pop("driver")
    # An address range of the machine may be in use.
    ipam.pop("config", None)
    if not ipam:
        network.pop("ipam", None)
    network.pop("enable_ipv6", None)


def adapt_file(entry, scratch):
    if "file" in entry:
        path = pathlib.Path(entry["file"])
        if not (str(path).startswith(str(scratch)) and path.is_file()):
            path = scratch / "files" / re.sub(r"\W", "_", str(path))
            path.parent.mkdir(exist_ok=True)
            path.write_text("text\n")
            entry["file"] = str(path)


def adapt(model, scratch, ports):
    """Changes the model, as `config --format json` gives it; relative paths were below `scratch`."""
    model.pop("name", None)
    model.pop("models", None)
    services = model["services"]
    for name in [n for n, s in services.items() if "provider" in s]:
        del services[name]
    awaited = {
        name
        for s in services.values()
        for name, d in s.get("depends_on", {}).items()
        if d["condition"] == "service_healthy"
    }
    for key, network in model.get("networks", {}).items():
        adapt_network(key, network)
    for volume in model.get("volumes", {}).values():
        volume.clear()
        volume["labels"] = {"made": "here"}
    for name in services:
        adapt_service(name, model, scratch, awaited, ports)
    for kind in ("secrets", "configs"):
        model[kind] = {k: e for k, e in model.get(kind, {}).items() if not e.get("external")}
        for entry in model[kind].values():
            entry.pop("name", None)
            adapt_file(entry, scratch)
    return model
