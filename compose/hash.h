/* Hashes of what containers, networks and volumes are made from: another one means that they are
 * made anew.
 * Source: Docker Compose, the labels com.docker.compose.config-hash. */
#pragma once

#include <jansson.h>

#include "base/sha256.h"

/* The hash that Docker Compose gives the same service, network or volume, so that each of the two
 * sees what the other one has made as up to date. Objects of the model. */
void compose_service_hash(const json_t *service, char ret[SHA256_HEX_SIZE]);
void compose_network_hash(const json_t *network, char ret[SHA256_HEX_SIZE]);
void compose_volume_hash(const json_t *volume, char ret[SHA256_HEX_SIZE]);
