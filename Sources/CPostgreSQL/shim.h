// The door to libpq. Manual: https://www.postgresql.org/docs/15/libpq.html
#pragma once
#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>
#endif

// The PG_DIAG_ macros are character literals, which do not import.
static const int HF_DIAG_SQLSTATE = PG_DIAG_SQLSTATE;
static const int HF_DIAG_MESSAGE_PRIMARY = PG_DIAG_MESSAGE_PRIMARY;
static const int HF_DIAG_CONSTRAINT_NAME = PG_DIAG_CONSTRAINT_NAME;
static const int HF_DIAG_SOURCE_FUNCTION = PG_DIAG_SOURCE_FUNCTION;
