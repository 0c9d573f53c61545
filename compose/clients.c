#include "compose/clients.h"

int compose_clients_init(const struct ctx *ctx, struct compose_clients *clients,
                         const struct docker_endpoint *endpoint, struct err *err)
{
    CLEANUP_DOCKER_CLIENT struct docker_client *first = NULL;

    *clients = (struct compose_clients){.endpoint = endpoint};
    if (docker_client_new(endpoint, 0, &first, err) < 0 || docker_client_ping(ctx, first, err) < 0)
        return -1;
    pthread_mutex_init(&clients->mu, NULL);
    clients->api_minor = docker_client_api_minor(first);
    vec_push(&clients->idle, steal_ptr(&first));
    return 0;
}

void compose_clients_release(struct compose_clients *clients)
{
    if (!clients->api_minor)
        return;
    vec_foreach (struct docker_client **, client, &clients->idle)
        docker_client_free(*client);
    vec_release(&clients->idle);
    pthread_mutex_destroy(&clients->mu);
    clients->api_minor = 0;
}

int compose_client_take(struct compose_clients *clients, struct docker_client **ret,
                        struct err *err)
{
    struct docker_client *client = NULL;

    pthread_mutex_lock(&clients->mu);
    if (clients->idle.len)
        client = clients->idle.items[--clients->idle.len];
    pthread_mutex_unlock(&clients->mu);
    if (!client && docker_client_new(clients->endpoint, clients->api_minor, &client, err) < 0)
        return -1;
    *ret = client;
    return 0;
}

void compose_client_give(struct compose_clients *clients, struct docker_client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&clients->mu);
    vec_push(&clients->idle, client);
    pthread_mutex_unlock(&clients->mu);
}
