"""A PostgreSQL server on a socket of its own."""
import os
import pathlib
import subprocess
import tempfile
import time

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "env" / "postgresql.sh"


class Database:
    """For as long as it is entered; `url` is its database."""

    def __enter__(self):
        self.place = tempfile.TemporaryDirectory()
        os.chmod(self.place.name, 0o711)  # it does not run as root
        directory = pathlib.Path(self.place.name) / "server"
        with open(pathlib.Path(self.place.name) / "log", "ab") as log:
            self.process = subprocess.Popen([SCRIPT, directory, "-c", "autovacuum=on"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        self.url = f"postgresql:///postgres?host={directory}&user=runner"
        while subprocess.run(["pg_isready", "-q", "-h", directory], check=False).returncode:
            if self.process.poll() is not None:
                raise SystemExit((pathlib.Path(self.place.name) / "log").read_text())
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.place.cleanup()
