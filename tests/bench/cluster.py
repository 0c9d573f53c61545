"""The floor under a job in Kubernetes: a bare pod, by the API alone."""
import base64
import http.client
import json
import os
import ssl
import subprocess
import tempfile
import time
import urllib.parse


class Cluster:
    def __init__(self, namespace="default"):
        config = json.loads(subprocess.check_output(
            ["kubectl", "config", "view", "--raw", "--minify", "--flatten", "-o", "json"]))
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        self.address = urllib.parse.urlsplit(cluster["server"]).netloc
        self.tls = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]) +
                      base64.b64decode(user["client-key-data"]))
            pem.flush()
            self.tls.load_cert_chain(pem.name)
        self.pods = f"/api/v1/namespaces/{namespace}/pods"
        self.connection = self.connect()
        self.number = 0

    def connect(self):
        return http.client.HTTPSConnection(self.address, context=self.tls)

    def call(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body) if body else None,
                                {"Content-Type": "application/json"} if body else {})
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {data.decode()}")
        return data

    def pod(self, command, image="busybox:1.36"):
        """Seconds from the creation of a pod to the news that its container has ended."""
        self.number += 1
        name = f"bench-{os.getpid()}-{self.number}"
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": image, "command": command}]}}
        watch = self.connect()
        watch.request("GET", f"{self.pods}?watch=1&fieldSelector=metadata.name%3D{name}")
        stream = watch.getresponse()
        started = time.monotonic()
        self.call("POST", self.pods, body)
        while json.loads(stream.readline())["object"]["status"].get("phase") != "Succeeded":
            pass
        seconds = time.monotonic() - started
        watch.close()
        self.call("DELETE", f"{self.pods}/{name}?gracePeriodSeconds=0")
        return seconds

    def requests(self):
        """How many requests about what runners use the API server has answered, whoever asked."""
        resources = ("pods", "configmaps", "secrets", "persistentvolumeclaims", "events")
        total = 0
        for line in self.call("GET", "/metrics").decode().splitlines():
            if line.startswith("apiserver_request_total{") and any(
                    f'resource="{name}"' in line for name in resources):
                total += float(line.rsplit(" ", 1)[1])
        return total
