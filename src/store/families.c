#include "store/families.h"

#include "store/core.h"

/* False while the store is being opened: the later ones have no state yet and are passed over. */
static bool is_open(const struct store *store, int i)
{
    return store->state[i] || !store_families[i]->open;
}

enum err families_flush(struct op *op, struct tx *tx)
{
    for (int i = 0; store_families[i]; i++)
        if (store_families[i]->flush && is_open(tx->store, i))
            TRY(store_families[i]->flush(op, tx, tx->store->state[i]));
    return OK;
}

enum err families_trim(struct op *op, struct tx *tx)
{
    for (int i = 0; store_families[i]; i++)
        if (store_families[i]->trim && is_open(tx->store, i))
            TRY(store_families[i]->trim(op, tx, tx->store->state[i]));
    return OK;
}

void families_end(struct store *store, bool kept)
{
    for (int i = 0; store_families[i]; i++) {
        void (*end)(void *state) = kept ? store_families[i]->kept : store_families[i]->drop;
        if (end && is_open(store, i))
            end(store->state[i]);
    }
}

enum err families_ask(struct op *op, struct tx *tx)
{
    for (int i = 0; store_families[i]; i++)
        if (store_families[i]->ask && is_open(tx->store, i))
            TRY(store_families[i]->ask(op, tx, tx->store->state[i]));
    return OK;
}

enum err families_foreign(struct op *op, struct tx *tx)
{
    for (int i = 0; store_families[i]; i++) {
        const struct family *family = store_families[i];
        if (!is_open(tx->store, i))
            continue;
        if (family->foreign)
            TRY(family->foreign(op, tx, tx->store->state[i]));
        else if (family->drop)
            family->drop(tx->store->state[i]);
    }
    return OK;
}

enum err families_anew(struct op *op, struct tx *tx)
{
    for (int i = 0; store_families[i]; i++) {
        void *state = NULL;
        if (!store_families[i]->open || !tx->store->state[i])
            continue;
        TRY(store_families[i]->open(op, tx, &state));
        if (store_families[i]->close)
            store_families[i]->close(tx->store->state[i]);
        tx->store->state[i] = state;
    }
    return OK;
}
