#include "server/follow.h"

static void wake(void *arg)
{
    web_wake(arg);
}

int follower_open(struct follower *follower, struct feed *feed,
                  const struct feed_subscription *subscription, struct web_waker *waker, bool whole,
                  atomic_int *count, struct err *err)
{
    struct feed_subscription mine = *subscription;

    *follower = (struct follower){.whole = whole, .count = count};
    mine.wake = wake;
    mine.wake_arg = waker;
    if (feed_subscribe(feed, &mine, &follower->subscriber, err) < 0)
        return -1;
    atomic_fetch_add(count, 1);
    return 0;
}

void follower_close(struct follower *follower)
{
    atomic_fetch_sub(follower->count, 1);
    feed_unsubscribe(follower->subscriber);
    feed_chunk_unref(follower->chunk);
    *follower = (struct follower){.ended = true};
}

static void take_messages(struct follower *f, struct web_piece *ret)
{
    size_t count = feed_chunk_count(f->chunk);

    ret->data = feed_chunk_message(f->chunk, f->next++, &ret->size);
    while (f->whole && f->next < count) {
        size_t size;

        if (feed_chunk_message(f->chunk, f->next, &size) != ret->data + ret->size)
            break;
        ret->size += size;
        f->next++;
    }
}

int follower_next(struct follower *f, struct web_piece *ret)
{
    while (!f->ended) {
        if (f->chunk && f->next < feed_chunk_count(f->chunk)) {
            take_messages(f, ret);
            return 1;
        }
        feed_chunk_unref(f->chunk);
        f->chunk = NULL;
        f->next = 0;
        switch (feed_next(f->subscriber, &f->chunk)) {
        case FEED_CHUNK:
            break;
        case FEED_NONE_YET:
            return 0;
        case FEED_END:
            f->ended = true;
            break;
        }
    }
    return WEB_END;
}
