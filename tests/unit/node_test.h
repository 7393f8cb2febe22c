/* node_test.h - the board of a node that lives alone, for what needs one. */
#pragma once

#include <stdio.h>

#include "engine/node.h"

/* Nobody checks a life without number. */
static inline struct node_board *node_board_alone(const char *id)
{
    struct node_board *board = node_board_new();
    struct node_life life = { .alive = 1, .term = 1 };
    snprintf(life.id, sizeof life.id, "%s", id);
    node_board_set(board, &life);
    return board;
}
