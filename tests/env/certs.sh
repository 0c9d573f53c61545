#!/usr/bin/env bash
# Makes a throw-away CA with a server and a client certificate: certs.sh DIRECTORY [NAME…]
# Results are named as docker wants them in DOCKER_CERT_PATH: ca.pem, cert.pem, key.pem (client),
# server-cert.pem, server-key.pem; NAMEs are added to the server's (localhost and 127.0.0.1 are in).
set -euo pipefail

dir=${1:?usage: certs.sh DIRECTORY [NAME...]}
shift
[[ ! -s $dir/server-cert.pem ]] || exit 0
umask 077
mkdir -p "$dir"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

names=DNS:localhost,IP:127.0.0.1
for name; do
    names+=,DNS:$name
done

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# sign KEY CERT COMMON_NAME USAGE [EXTENSION]
sign() {
    printf 'extendedKeyUsage=%s\n%s\n' "$4" "${5:-}" >"$work/extensions"
    openssl req -new -key "$1" -subj "/CN=$3" -out "$work/request" 2>/dev/null
    openssl x509 -req -in "$work/request" -CA "$dir/ca.pem" -CAkey "$work/ca-key.pem" \
        -CAcreateserial -CAserial "$work/serial" -days 3650 \
        -extfile "$work/extensions" -out "$2" 2>/dev/null
}

new_key "$work/ca-key.pem"
openssl req -x509 -new -key "$work/ca-key.pem" -subj "/CN=runner test CA" -days 3650 \
    -out "$dir/ca.pem" 2>/dev/null
new_key "$dir/key.pem"
sign "$dir/key.pem" "$dir/cert.pem" client clientAuth
new_key "$dir/server-key.pem"
sign "$dir/server-key.pem" "$dir/server-cert.pem" localhost serverAuth "subjectAltName=$names"
